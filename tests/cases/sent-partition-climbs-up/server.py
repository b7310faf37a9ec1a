from urllib.parse import unquote

from cases.server import Answer

VALUES = ["octo/cat"]


def answer(ask):
    value = unquote(ask.path.removeprefix("/of/").removesuffix("/items"))
    return (
        Answer([{"id": VALUES.index(value)}])
        if value in VALUES
        else Answer({"error": ask.path}, 404)
    )
