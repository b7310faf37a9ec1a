from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": ask.query["org"] + each} for each in ("ab" if ask.run == 1 else "a")])
    return Answer([{"n": ask.run}])
