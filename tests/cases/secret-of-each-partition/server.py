from cases.server import Answer

KEYS = {"/path-of-a-1/items": ("key-of-a-1", 1), "/path-of-b-2/items": ("key-of-b-2", 2)}


def answer(ask):
    key, number = KEYS.get(ask.path, ("", 0))
    if not key or ask.headers.get("X-Key") != key:
        return Answer({"error": f"no {ask.path}"}, 401)
    return Answer([{"id": number}])
