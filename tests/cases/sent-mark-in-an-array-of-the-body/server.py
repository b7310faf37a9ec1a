from cases.server import Answer, rows


def answer(ask):
    first, second = ask.body["queries"]
    if first.keys() != {"kind", "page"} or second.keys() != {"kind", "range"}:
        return Answer({"error": ask.body}, 400)
    found = [row for row in rows(5) if row["updated_at"] >= second["range"]["from"]]
    at = (first["page"] - 1) * 2
    return Answer({"data": found[at : at + 2]})
