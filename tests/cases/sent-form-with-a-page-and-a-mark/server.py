"""A search by a form, with page and mark in its fields, and a field of several values."""

from urllib.parse import parse_qs

from cases.server import Answer, Ask, rows


def answer(ask: Ask) -> Answer:
    form = parse_qs(ask.body, strict_parsing=True)
    kind = ask.headers["Content-Type"]
    if kind != "application/x-www-form-urlencoded" or form["state"] != ["open", "done"]:
        return Answer({"error": ask.body}, 422)
    if form["team"] != ["a & ö"] or len(form["page"]) != 1:
        return Answer({"error": ask.body}, 422)
    there = [row for row in rows(2 + ask.run) if row["updated_at"] >= form["since"][0]]
    at = int(form["page"][0])
    return Answer({"data": there[at - 1 : at], "next": str(at + 1) if at < len(there) else None})
