from cases.server import Answer


def answer(ask):
    return Answer(
        {"items": [{"id": 1, "rows": "none"}, {"id": 2, "rows": [{"v": 2}, {"v": "x"}, {"v": 3}]}]}
    )
