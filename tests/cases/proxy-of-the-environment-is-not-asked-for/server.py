from cases.server import Answer


def answer(ask):
    return Answer([{"id": 1}] if ask.query["page"] == "1" else [])
