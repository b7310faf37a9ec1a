from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        stars = {"a": 1, "b": ask.run, "c": 1} | ({"d": 1} if ask.run > 1 else {})
        return Answer([{"id": each, "stars": many} for each, many in stars.items()])
    return Answer([{"n": ask.run}])
