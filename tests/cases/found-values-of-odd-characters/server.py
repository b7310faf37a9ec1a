from cases.server import Answer


def answer(ask):
    from urllib.parse import unquote

    values = ["a,b", "a=b", "a%2Cb", "50%", "C#", "x y", "é", "q?x=1"]
    if ask.path == "/repos":
        return Answer([{"id": each} for each in values])
    return Answer([{"n": values.index(unquote(ask.path.removeprefix("/repos/")))}])
