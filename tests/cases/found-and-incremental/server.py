from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": each} for each in "ab"])
    since = int(ask.query["since"])
    return Answer([{"n": n} for n in range(1, 2 + ask.run) if n >= since])
