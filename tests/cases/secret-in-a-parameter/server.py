from cases.server import Answer


def answer(ask):
    if ask.query.get("key") != "k&k=1/+ #é" or ask.query["kind"] != "a":
        return Answer({"error": ask.raw_query}, 401)
    found = [number for number in range(1, 6) if number >= int(ask.query["since"])]
    at = (int(ask.query["page"]) - 1) * 2
    return Answer({"data": [{"id": number} for number in found[at : at + 2]]})
