from cases.server import Answer

LAST = {1: 200, 2: 500}


def answer(ask):
    if ask.number == 1:
        return Answer({"fault": {"code": "gone"}}, 503)
    if ask.query["page"] == "2":
        return Answer({"fault": {"code": "gone"}}, LAST[ask.run])
    return Answer({"data": [{"id": ask.run}, {"id": ask.run + 10}]})
