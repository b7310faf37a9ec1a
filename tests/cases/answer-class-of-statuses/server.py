from cases.server import Answer


def answer(ask):
    if ask.query["page"] == "3":
        return Answer({"error": "nothing_found"}, 404)
    at = 2 * int(ask.query["page"])
    return Answer({"data": [{"id": at - 1}, {"id": at}]})
