from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": each} for each in ("abcde" if ask.run == 1 else "ab")])
    return Answer([{"n": ask.run}])
