from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": "x", "stars": each} for each in (7, -3)])
    return Answer([{"n": int(ask.path.rpartition("/")[2])}])
