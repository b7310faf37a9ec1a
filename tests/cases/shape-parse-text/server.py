from cases.server import Answer


def answer(ask):
    return Answer({"payload": '{"day": "mon", "rows": [{"v": 1}, {"v": 2}]}'})
