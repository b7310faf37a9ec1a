from cases.server import Answer


def answer(ask):
    since = ask.body["where"]["t"]["gte"]
    if type(since) is not int:
        return Answer({"error": "where.t.gte: a number is needed"}, 422)
    found = [{"id": number, "t": 1714979200000 + number} for number in range(1, 4 + ask.run)]
    return Answer([row for row in found if row["t"] >= since])
