from urllib.parse import unquote

from cases.server import Answer

VALUES = ["a b", "ü", "100%", "a+b", "a;b", "[x]", "C#", "q?x=1", "a/b", "..x"]


def answer(ask):
    value = unquote(ask.path.removeprefix("/of/").removesuffix("/items"))
    return (
        Answer([{"id": VALUES.index(value)}])
        if value in VALUES
        else Answer({"error": ask.path}, 404)
    )
