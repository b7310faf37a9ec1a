from cases.server import Answer


def answer(ask):
    if ask.path == "/token":
        return Answer(
            {"error": "invalid_grant", "error_description": "r0-that-ended has expired"}, 400
        )
    return Answer([{"id": 1}])
