from cases.server import Answer


def answer(ask):
    v = ask.body["variables"]
    since, at = v["filter"]["since"], int(v["after"] or 0)
    if type(since) is not int or v["filter"]["kind"] != "a":
        return Answer({"errors": [{"message": str(v)}]}, 400)
    rows = [
        {"id": i, "t": 1714979289000 + i}
        for i in range(1, ask.run * 2 + 1)
        if 1714979289000 + i >= since
    ]
    return Answer(
        {
            "data": {
                "items": {
                    "nodes": rows[at : at + 1],
                    "pageInfo": {"endCursor": str(at + 1), "hasNextPage": at + 1 < len(rows)},
                }
            }
        }
    )
