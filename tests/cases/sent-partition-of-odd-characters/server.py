from urllib.parse import unquote

from cases.server import Answer


def answer(ask):
    parts = ask.path.split("/")
    if len(parts) != 4:
        return Answer({"error": ask.path}, 404)
    return Answer([{"name": unquote(parts[2])}])
