from cases.server import Answer

CANDLES = [[t, t + 0.5, t + 0.75] for t in range(1, 6)]


def answer(ask):
    after = int(ask.query.get("after", 0))
    return Answer({"result": [each for each in CANDLES if each[0] > after][:2]})
