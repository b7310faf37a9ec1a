from cases.server import Answer


def answer(ask):
    if ask.number == 1:
        return Answer({"until": "2030-05-06 07:08:09"}, 429, {"Retry-After": "0"})
    return Answer([{"id": 1}])
