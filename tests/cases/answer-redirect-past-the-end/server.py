from cases.server import Answer


def answer(ask):
    page = int(ask.query["page"])
    if page == 3:
        return Answer(b"", 302, {"Location": "/items?page=1"})
    return Answer([{"id": page}])
