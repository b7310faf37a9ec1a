from cases.server import Answer


def answer(ask):
    since = ask.body["filter"].get("from", 0)
    found = [{"id": number} for number in ([3] if ask.run > 1 else []) + [5, 6, 7]]
    return Answer({"data": [row for row in found if row["id"] >= since]})
