from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": each} for each in "abc"[: 1 + ask.run]])
    return Answer([{"n": ask.run}])
