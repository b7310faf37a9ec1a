from cases.server import Answer

ROWS = [
    {"id": 1, "at": "/Date(1714979289000+0200)/", "day": "/Date(1714946400000+0200)/"},
    {"id": 2, "at": "/Date(-1000)/", "day": None},
    {"id": 3, "at": None, "day": "/Date(0)/"},
]


def answer(ask):
    return Answer(ROWS)
