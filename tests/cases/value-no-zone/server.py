from cases.server import Answer

ROWS = [
    {"id": 1, "at": "2024-05-06T09:08:09"},
]


def answer(ask):
    return Answer(ROWS)
