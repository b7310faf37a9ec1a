from cases.server import Answer, rows


def answer(ask):
    start, end = ask.body["between"]
    return Answer([row for row in rows(3) if start <= row["updated_at"] < end])
