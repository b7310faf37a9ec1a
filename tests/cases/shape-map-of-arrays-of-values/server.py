from cases.server import Answer


def answer(ask):
    return Answer({"Time Series (Daily)": {"mon": [1, 2.5], "tue": [3]}})
