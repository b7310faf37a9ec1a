from cases.server import Answer


def answer(ask):
    return Answer({"items": [{"id": 1, "rows": [{"v": 1, "id": 7}, {"v": 2}, {"id": 1, "v": 3}]}]})
