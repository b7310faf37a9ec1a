from cases.server import Answer

ROWS = [
    {"id": 1, "at": "2024-05-06 07:08:09 UTC"},
    {"id": 2, "at": "Mon, 06 May 2024 09:08:10 +0200"},
    {"id": 3, "at": "20240506T070811Z"},
]


def answer(ask):
    """Only the last record is there when the second run asks, and it is the newest."""
    if ask.run == 1:
        return Answer(ROWS[:2])
    assert ask.query["since"] == "2024-05-06T07:08:10Z"
    return Answer(ROWS[1:])
