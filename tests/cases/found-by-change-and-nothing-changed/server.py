from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": each, "stars": 1} for each in "abc"])
    return Answer([{"n": ask.run}])
