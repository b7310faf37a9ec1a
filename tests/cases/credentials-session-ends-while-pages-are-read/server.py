from cases.server import Answer, stamp

STATE = {"n": 0, "uses": 0}
ROWS = [
    {"id": n if n != 6 else "bad", "tenant": "ab"[n % 2], "updated_at": stamp(n)}
    for n in range(1, 21)
]


def answer(ask):
    if ask.path == "/login":
        STATE.update(n=STATE["n"] + 1, uses=0)
        return Answer({}, 200, {"Set-Cookie": f"sid=s{STATE['n']}; Path=/"})
    STATE["uses"] += 1
    if ask.headers.get("Cookie") != f"sid=s{STATE['n']}" or STATE["uses"] > 3:
        return Answer({"error": "log in"}, 401)
    there = [row for row in ROWS if row["tenant"] == ask.query["tenant"]]
    found = [row for row in there if row["updated_at"] >= ask.query.get("since", "")]
    found = found if ask.run == 2 else found[:6]
    at = int(ask.query.get("at", 0))
    more = at + 2 < len(found)
    return Answer({"data": found[at : at + 2], "next": str(at + 2) if more else None})
