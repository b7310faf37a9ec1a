from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": each} for each in ('a"b', "c")])
    return Answer([{"n": len(ask.body["of"]["repo"])}])
