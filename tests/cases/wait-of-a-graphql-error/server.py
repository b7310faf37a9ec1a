from datetime import UTC, datetime, timedelta

from cases.server import Answer


def answer(ask):
    if ask.number == 2:
        at = (datetime.now(UTC) + timedelta(seconds=0.2)).isoformat().replace("+00:00", "Z")
        return Answer(
            {"data": None, "errors": [{"type": "RATE_LIMITED"}], "extensions": {"resetAt": at}}
        )
    if ask.body["variables"]["after"] is None:
        return Answer(
            {"data": {"nodes": [{"id": 1}], "pageInfo": {"endCursor": "c1", "hasNextPage": True}}}
        )
    return Answer(
        {"data": {"nodes": [{"id": 2}], "pageInfo": {"endCursor": "c2", "hasNextPage": False}}}
    )
