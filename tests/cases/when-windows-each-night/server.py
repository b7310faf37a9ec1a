from cases.server import Answer, stamp


def answer(ask):
    found = [{"id": n, "updated_at": stamp(n)} for n in range(1, 12)] + [
        {"id": "none", "updated_at": stamp(12)}
    ]
    return Answer({"data": found if ask.query["from"] == stamp(0) else []})
