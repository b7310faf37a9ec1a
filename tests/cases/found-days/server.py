from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"day": each} for each in ("2024-02-29", "2024-03-01")])
    return Answer([{"n": int(ask.query["day"][-2:])}])
