from cases.server import Answer

PAGES = {
    "": {"items": {"item": [{"id": 1}, {"id": 2}]}, "next": "b"},
    "b": {"items": {"item": {"id": 3}}, "next": "c"},
    "c": {"items": "", "next": "d"},
    "d": {"items": None},
}


def answer(ask):
    return Answer(PAGES[ask.query.get("cursor", "")])
