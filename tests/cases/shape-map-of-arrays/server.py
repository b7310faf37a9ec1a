from cases.server import Answer


def answer(ask):
    return Answer({"days": {"mon": [{"v": 1}, {"v": 2}], "tue": []}})
