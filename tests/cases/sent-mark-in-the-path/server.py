from urllib.parse import unquote

from cases.server import Answer, rows


def answer(ask):
    since = unquote(ask.path.removeprefix("/since/")).replace("+00:00", "Z")
    if not since.endswith("Z"):
        return Answer({"error": ask.path}, 400)
    return Answer([row for row in rows(3 + ask.run) if row["updated_at"] >= since])
