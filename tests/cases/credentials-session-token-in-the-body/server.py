from cases.server import Answer

STATE = {"logins": 0, "uses": 0}


def answer(ask):
    if ask.path == "/login":
        if ask.body != {"user": {"name": "me", "password": "s3cret"}}:
            return Answer({"error": "no"}, 401)
        STATE.update(logins=STATE["logins"] + 1, uses=0)
        return Answer({"data": {"token": f"t{STATE['logins']}"}})
    STATE["uses"] += 1
    good = ask.headers.get("Authorization") == f"Bearer t{STATE['logins']}"
    if not good or STATE["uses"] > 2:
        return Answer({"error": "log in"}, 401)
    page = int(ask.query["page"])
    return Answer([{"id": page}] if page <= 7 else [])
