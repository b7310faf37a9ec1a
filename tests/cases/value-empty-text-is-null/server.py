from cases.server import Answer

ROWS = [
    {
        "id": 1,
        "pair": {"n": "", "note": ""},
        "n": ["N/A", 5],
        "either": "N/A",
        "on": "",
        "at": "N/A",
    },
    {"id": 2, "pair": "", "n": [], "either": 1.5, "on": True, "at": "2024-05-06T07:08:09Z"},
]


def answer(ask):
    return Answer(ROWS)
