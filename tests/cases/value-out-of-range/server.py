from cases.server import Answer

ROWS = [
    {"id": 1, "t": 86399999, "day": 2932896, "seen": [-62135596800000000]},
    {"id": 2, "t": 86400000, "day": None, "seen": []},
    {"id": 3, "t": -1, "day": None, "seen": []},
    {"id": 4, "t": None, "day": 2932897, "seen": []},
    {"id": 5, "t": None, "day": None, "seen": [253402300800000000]},
    {"id": 6, "t": "23:59:59.9999", "day": "9999-12-31", "seen": ["0001-01-01T00:00:00Z"]},
    {"id": 7, "t": "24:00:00", "day": None, "seen": []},
    {"id": 8, "t": None, "day": "2023-02-29", "seen": []},
    {"id": 9, "t": 0, "day": -719162, "seen": []},
]


def answer(ask):
    return Answer(ROWS)
