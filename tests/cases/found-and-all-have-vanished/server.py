from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": each} for each in ("ab" if ask.run == 1 else "")])
    return Answer([{"n": ask.run}])
