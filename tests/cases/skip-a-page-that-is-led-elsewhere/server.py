from cases.server import Answer


def answer(ask):
    page = int(ask.query["page"])
    if page == 2:
        return Answer(b"", 303, {"Location": "/gone"})
    return Answer([{"id": page}] if page < 4 else [])
