from cases.server import Answer

T = [0]


def answer(ask):
    if ask.path == "/token":
        T[0] += 1
        return Answer({"access_token": f"t{T[0]}", "expires_in": 3600})
    page = int(ask.query["page"])
    if page == 2 and ask.headers["Authorization"] == "Bearer t1":
        return Answer({"errcode": 40001, "errmsg": "invalid credential"})
    return Answer({"data": [{"id": page}] if page < 4 else []})
