from cases.server import Answer


def answer(ask):
    page = int(ask.query["page"])
    cookie = ask.headers.get("Cookie", "")
    if page < 5 and cookie != (f"lb={page - 1}" if page > 1 else ""):
        return Answer({"error": f"no session: {cookie}"}, 403)
    return Answer(
        [{"id": page}] if page < 5 else [], 200, {"Set-Cookie": f"lb={page}; Path=/; HttpOnly"}
    )
