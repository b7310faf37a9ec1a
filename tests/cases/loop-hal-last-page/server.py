from cases.server import Answer, rows


def answer(ask):
    at = int(ask.query.get("at", 0))
    links = {"self": {"href": ask.origin + ask.path}}
    if at + 2 < 5:
        links["next"] = {"href": f"/items?at={at + 2}{{&lang}}"}
    return Answer({"_embedded": {"items": rows(5)[at : at + 2]}, "_links": links})
