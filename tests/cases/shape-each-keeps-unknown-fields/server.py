from cases.server import Answer


def answer(ask):
    return Answer({"items": [{"id": 1, "x": 1, "rows": [{"v": 1, "y": [1.50]}, {"v": 2}]}]})
