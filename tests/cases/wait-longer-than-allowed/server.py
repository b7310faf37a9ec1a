from cases.server import Answer


def answer(ask):
    if ask.number == 1:
        return Answer({"wait": 600}, 429)
    return Answer([{"id": 1}])
