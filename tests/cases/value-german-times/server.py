from cases.server import Answer

ROWS = [
    {
        "id": 1,
        "at": "06.05.2024 09:08",
        "day": "6.5.2024",
        "lines": [{"at": "31.12.2023 23:59"}, {"at": None}],
    },
]


def answer(ask):
    return Answer(ROWS)
