from datetime import UTC, datetime

from cases.server import Answer

ROWS = [(1, "2024-05-06T07:08:09Z"), (2, "2024-05-06T07:09:10Z")]


def answer(ask):
    since = datetime.strptime(ask.query["since"], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    return Answer(
        [
            {"id": i, "updated_at": at}
            for i, at in ROWS[: ask.run]
            if datetime.fromisoformat(at) >= since
        ]
    )
