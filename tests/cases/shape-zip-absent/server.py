from cases.server import Answer


def answer(ask):
    return Answer({"hourly": {"time": ["00:00", "01:00"], "rain": [0.5]}})
