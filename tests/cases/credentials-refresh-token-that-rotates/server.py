from urllib.parse import parse_qs

from cases.server import Answer

STATE = {"n": 0, "access": ""}


def answer(ask):
    if ask.path == "/token":
        form = parse_qs(ask.body)
        name = "r0-first" if STATE["n"] == 0 else f"r{STATE['n']}"
        if form != {"grant_type": ["refresh_token"], "refresh_token": [name]}:
            return Answer({"error": "invalid_grant"}, 400)
        STATE["n"] += 1
        STATE["access"] = f"a{STATE['n']}"
        fresh = f"r{STATE['n']}"
        return Answer({"access_token": STATE["access"], "expires_in": 3600, "refresh_token": fresh})
    if ask.headers.get("Authorization") != f"Bearer {STATE['access']}":
        return Answer({"error": "no"}, 401)
    if ask.number == 4 and ask.run == 1:
        STATE["access"] = "ended early"
        return Answer({"error": "no"}, 401)
    page = int(ask.query["page"])
    return Answer([{"id": ask.run * 10 + page}] if page < 4 else [])
