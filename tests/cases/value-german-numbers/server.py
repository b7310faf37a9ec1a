from cases.server import Answer

ROWS = [
    {
        "id": 1,
        "price": "1.234,50",
        "n": "1.000.000",
        "pair": {"n": "7", "note": "7"},
        "x": ["0,5", 2, "-1.000,25"],
    },
    {"id": 2, "price": "3", "n": None, "pair": {"n": 8, "note": None}, "x": []},
]


def answer(ask):
    return Answer(ROWS)
