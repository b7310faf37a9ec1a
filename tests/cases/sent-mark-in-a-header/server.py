from cases.server import Answer, rows


def answer(ask):
    return Answer([row for row in rows(3 + ask.run) if row["updated_at"] >= ask.headers["X-Since"]])
