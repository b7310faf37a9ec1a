from cases.server import Answer, rows


def answer(ask):
    at = int(ask.query.get("at", 0))
    link = ask.origin.replace("http", "HTTP") + f"/items?at={at + 2}" if at < 4 else None
    return Answer({"data": rows(6)[at : at + 2], "next": link})
