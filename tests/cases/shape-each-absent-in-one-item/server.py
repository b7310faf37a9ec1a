from cases.server import Answer


def answer(ask):
    return Answer(
        {
            "items": [
                {"id": 1, "rows": [{"v": 1}]},
                {"id": 2},
                {"id": 3, "rows": [{"v": 3}, {"v": 4}]},
            ]
        }
    )
