from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": each} for each in ["a"]])
    return Answer([{"n": 1}])
