from cases.server import Answer


def answer(ask):
    if "token" not in ask.query:
        return Answer({"edges": [{"node": {"id": 1}}, {"node": {"id": 2}}], "meta": {"next": "t"}})
    return Answer({"edges": None, "meta": {"next": None}})
