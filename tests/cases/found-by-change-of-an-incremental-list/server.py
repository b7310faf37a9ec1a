from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        since = int(ask.query["since"])
        every = [("a", 1), ("b", 2)] + ([("a", 3), ("c", 4)] if ask.run > 1 else [])
        return Answer([{"id": each, "stars": at} for each, at in every if at >= since])
    return Answer([{"n": ask.run}])
