from cases.server import Answer


def answer(ask):
    at = int(ask.query.get("token", 0))
    found = [] if at in (0, 3) else [{"id": at}]
    return Answer({"data": found, "next": str(at + 1) if at < 5 else None})
