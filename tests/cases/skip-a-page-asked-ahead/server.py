from cases.server import Answer


def answer(ask):
    page = int(ask.query["page"])
    if page == 5:
        return Answer({}, 500)
    if page > 9:
        return Answer({}, 404)
    return Answer([{"id": page * 2}, {"id": page * 2 + 1}])
