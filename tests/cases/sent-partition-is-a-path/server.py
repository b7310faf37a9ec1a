from urllib.parse import unquote

from cases.server import Answer

VALUES = ["octo/cat", "octo/a b", "c#/d"]


def answer(ask):
    value = unquote(ask.path.removeprefix("/of/").removesuffix("/items"))
    return (
        Answer([{"id": VALUES.index(value)}])
        if value in VALUES and ask.path.count("/") == 4
        else Answer({"error": ask.path}, 404)
    )
