from cases.server import Answer


def answer(ask):
    return Answer({"error": "broken"}, 500) if ask.query["page"] == "1" else Answer([])
