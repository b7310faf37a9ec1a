from cases.server import Answer

ROWS = [
    {"id": 1, "at": 1714979289, "made": 5},
    {"id": 2, "at": None, "made": 1714979290},
    {"id": 3, "at": 1714979291, "made": None},
]


def answer(ask):
    """One record more is there when the second run asks; older ones than asked for are left out."""
    known = ROWS if ask.run > 1 else ROWS[:2]
    return Answer([row for row in known if (row["at"] or row["made"]) >= int(ask.query["since"])])
