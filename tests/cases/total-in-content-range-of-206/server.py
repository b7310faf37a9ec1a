from cases.server import Answer

ROWS = [{"id": i} for i in range(1, 6)]


def answer(ask):
    at, n = int(ask.query["offset"]), int(ask.query["limit"])
    part = ROWS[at : at + n]
    if not part:
        return Answer({"code": "PGRST103"}, 416, {"Content-Range": "*/5"})
    return Answer(part, 206, {"Content-Range": f"{at}-{at + len(part) - 1}/5"})
