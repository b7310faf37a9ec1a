from cases.server import Answer


def answer(ask):
    r = ask.body["range"][0]
    if type(r["from"]) is not int:
        return Answer({"e": r}, 422)
    rows = [{"id": i, "t": 1795824000000 + i * 43200000} for i in range(1, 6)]
    return Answer({"data": [x for x in rows if r["from"] <= x["t"] < r["to"]]})
