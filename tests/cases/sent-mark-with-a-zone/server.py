from datetime import datetime

from cases.server import Answer

ROWS = [{"id": number, "at": f"2024-05-06T07:08:{number:02d}+02:00"} for number in range(1, 4)]


def answer(ask):
    since = datetime.fromisoformat(ask.query["since"])
    if since.tzinfo is None:
        return Answer({"error": ask.raw_query}, 400)
    return Answer([row for row in ROWS if datetime.fromisoformat(row["at"]) >= since])
