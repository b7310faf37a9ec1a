from cases.server import Answer, rows


def answer(ask):
    at = int(ask.query.get("at", 0))
    body = {"items": rows(5)[at : at + 2]}
    return Answer({**body, "_links": {"next": {"href": f"/items?at={at + 2}"}}} if at < 4 else body)
