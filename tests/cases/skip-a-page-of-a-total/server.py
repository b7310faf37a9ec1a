from cases.server import Answer


def answer(ask):
    page = int(ask.query["page"])
    if page == 2:
        return Answer({}, 500)
    return Answer(
        {"data": [{"id": page * 2}, {"id": page * 2 + 1}] if page < 4 else [], "total": 6}
    )
