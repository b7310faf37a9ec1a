from cases.server import Answer, rows


def answer(ask):
    return Answer(rows(2), 206, {"Content-Range": "bytes 0-99/4000"})
