"""A POST whose result is at another place, which is asked with GET."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    if ask.path == "/search":
        return Answer(status=303, headers={"Location": "/results/7"})
    if ask.method != "GET" or ask.body is not None or "Content-Type" in ask.headers:
        return Answer({"error": "not as a GET"}, 400)
    return Answer([{"id": 1}])
