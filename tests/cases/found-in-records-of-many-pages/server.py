from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        at = int(ask.query.get("at", "0"))
        page = [{"id": f"r{number}"} for number in range(at, at + 3)]
        return Answer({"data": page, "next": at + 3 if at < 6 else None})
    return Answer([{"n": int(ask.path[8:])}])
