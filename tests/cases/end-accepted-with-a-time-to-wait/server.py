from cases.server import Answer, rows


def answer(ask):
    if ask.number < 3:
        return Answer({"status": "building"}, 202, {"Retry-After": "0"})
    return Answer(rows(2))
