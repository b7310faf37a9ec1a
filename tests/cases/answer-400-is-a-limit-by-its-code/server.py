from cases.server import Answer


def answer(ask):
    if ask.number in (2, 3):
        return Answer(
            {"error": {"code": 17, "wait": 10, "message": "User request limit reached"}}, 400
        )
    if "after" in ask.query:
        return Answer({"data": [{"id": 2}], "paging": {}})
    return Answer({"data": [{"id": 1}], "paging": {"next": ask.origin + "/items?after=x"}})
