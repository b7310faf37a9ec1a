from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": each} for each in ("ac" if ask.run == 2 else "abc")])
    return Answer([{"n": ask.run}])
