from cases.server import Answer


def answer(ask):
    sent = [ask.headers.get(name) for name in ("X-Api-Key", "X-App-Key", "X-Plain")]
    if sent != ["key-one-1234", "key two/5678", "yes"]:
        return Answer({"error": sent}, 403)
    return Answer([{"id": 1}])
