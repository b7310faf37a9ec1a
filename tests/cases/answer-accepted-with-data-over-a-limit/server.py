from cases.server import Answer


def answer(ask):
    if ask.number == 1:
        return Answer({"throttled": True}, 202, {"X-Wait": "0.02"})
    if ask.number == 2:
        return Answer({"state": "building"}, 202, {"X-Wait": "0.02"})
    return Answer({"items": [{"id": 1}]}, 202)
