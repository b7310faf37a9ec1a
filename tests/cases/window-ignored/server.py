from cases.server import Answer, rows

OLD = {"id": 0, "updated_at": "2023-05-06T07:08:09Z"}


def answer(ask):
    return Answer(rows(5) if ask.query["from"] < "2024-06" else [OLD, *rows(5)])
