"""A query language as text, with the mark and a partition in it."""

from cases.server import Answer, Ask, rows, stamp


def answer(ask: Ask) -> Answer:
    since = stamp(0) if ask.run == 1 else stamp(2)
    wanted = f"fields {{id, updated_at}}; where t = 'red' & at >= {since};"
    if ask.body != wanted or ask.headers["Content-Type"] != "text/plain; charset=utf-8":
        return Answer({"error": ask.body}, 422)
    return Answer([row for row in rows(1 + ask.run) if row["updated_at"] >= since])
