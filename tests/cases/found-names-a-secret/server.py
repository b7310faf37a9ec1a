from cases.server import Answer

KEYS = {"/repos/a": "key-of-a-1", "/repos/c": "key-of-c-3"}


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": each} for each in ("a", "../b", "c")])
    if ask.headers.get("X-Key") != KEYS.get(ask.path):
        return Answer({"message": "no"}, status=401)
    return Answer([{"n": ask.run}])
