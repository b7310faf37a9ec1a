from cases.server import Answer

ROWS = [
    {
        "id": 1,
        "detail": {"at": "2024-05-06T07:08:09.000+0000"},
        "seen": ["2024-05-06T09:08:09.5+0200", "20240506T070810Z"],
        "by": {"me": "Mon, 06 May 2024 07:08:11 GMT"},
    },
    {"id": 2, "detail": {"at": None}, "seen": [], "by": {}},
]


def answer(ask):
    return Answer(ROWS)
