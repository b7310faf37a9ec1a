from cases.server import Answer

ROWS = [
    {"id": 1, "at": "2024-10-27T02:30:00"},
    {"id": 2, "at": "2024-03-31T02:30:00"},
    {"id": 3, "at": "2024-10-27T03:00:00"},
    {"id": 4, "at": "2024-10-27T02:30:00+01:00"},
]


def answer(ask):
    return Answer(ROWS)
