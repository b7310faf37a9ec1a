from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": each, "owner": "of " + each} for each in "ab"])
    return Answer([{"n": 1}])
