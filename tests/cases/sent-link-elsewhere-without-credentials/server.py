from cases.server import Answer


def answer(ask):
    host = ask.headers["Host"]
    if host.startswith("localhost"):
        if (
            "Authorization" in ask.headers
            or "Cookie" in ask.headers
            or ask.headers.get("X-Api-Version") != "3"
        ):
            return Answer({"error": "only one auth mechanism allowed"}, 400)
        return Answer({"data": [{"id": 2}]})
    if ask.headers.get("Authorization") != "Bearer tok":
        return Answer({}, 401)
    return Answer(
        {"data": [{"id": 1}], "next": f"http://localhost:{host.partition(':')[2]}/cdn?sig=x"}
    )
