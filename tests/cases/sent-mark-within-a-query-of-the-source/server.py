import re
from datetime import datetime
from zoneinfo import ZoneInfo

from cases.server import Answer

NY = ZoneInfo("America/New_York")
ROWS = [{"id": i, "fields": {"updated": f"2024-05-06T03:08:{i:02}.000-0400"}} for i in (1, 2)]


def answer(ask):
    found = re.fullmatch(r'updated >= "(.{16})" order by updated', ask.query["jql"])
    since = datetime.strptime(found[1], "%Y-%m-%d %H:%M").replace(tzinfo=NY)
    return Answer(
        {
            "issues": [
                r
                for r in ROWS[: ask.run]
                if datetime.fromisoformat(r["fields"]["updated"]) >= since
            ]
        }
    )
