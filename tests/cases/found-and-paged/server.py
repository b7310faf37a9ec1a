from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": each} for each in "ab"])
    page = int(ask.query["page"])
    return Answer([{"n": 2 * page + each} for each in range(2)] if page < 3 else [])
