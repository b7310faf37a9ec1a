from cases.server import Answer, rows


def answer(ask):
    page = int(ask.query["page"])
    if page == 2:
        return Answer({"error": "broken"}, 500)
    found = [row for row in rows(6) if row["updated_at"] >= ask.query["since"]]
    return Answer({"data": found[2 * page - 2 : 2 * page], "total": len(found)})
