from datetime import datetime
from zoneinfo import ZoneInfo

from cases.server import Answer

BERLIN = ZoneInfo("Europe/Berlin")
ROWS = [
    {"id": 1, "at": "2024-05-06T09:08:09"},
    {"id": 2, "at": "2024-05-06 09:08:10"},
    {"id": 3, "at": "2024-05-06T09:08:11"},
]


def answer(ask):
    """One record more is there when the second run asks; the bound is an instant."""
    known = ROWS if ask.run > 1 else ROWS[:2]
    since = datetime.fromisoformat(ask.query["since"])
    return Answer(
        [row for row in known if datetime.fromisoformat(row["at"]).replace(tzinfo=BERLIN) >= since]
    )
