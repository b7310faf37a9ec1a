from cases.server import Answer


def answer(ask):
    if ask.path == "/login":
        return Answer(
            {}, 200, {"Set-Cookie": "sid=s1; Path=/", "set-cookie": "csrf=c1; Path=/items"}
        )
    sent = set(ask.headers.get("Cookie", "").split("; "))
    good = sent == {"lang=de", "sid=s1", "csrf=c1"}
    return Answer([{"id": 1}] if good else {"error": sorted(sent)}, 200 if good else 403)
