from cases.server import Answer


def answer(ask):
    if ask.path == "/login":
        return Answer({"token": "t1"}, 200, {"Set-Cookie": "lb=1; Path=/"})
    ours = ask.headers["Host"].startswith("127.")
    if ours != (ask.headers.get("Authorization") == "Bearer t1") or ours != (
        "Cookie" in ask.headers
    ):
        return Answer({"error": "credentials at the wrong place"}, 401)
    elsewhere = ask.origin.replace("127.0.0.1", "localhost")
    if ours:
        return Answer({"data": [{"id": 1}], "next": f"{elsewhere}/items?at=2"})
    return Answer({"data": [{"id": 2}], "next": None})
