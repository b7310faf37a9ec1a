from cases.server import Answer


def answer(ask):
    if ask.number == 1:
        return Answer({}, 429, {"RateLimit": '"burst";r=0;t=1, "daily";r=500;t=9999'})
    return Answer([{"id": 1}])
