from cases.server import Answer

ROWS = [
    {"id": 1, "at": 1714979289000999},
]


def answer(ask):
    return Answer(ROWS)
