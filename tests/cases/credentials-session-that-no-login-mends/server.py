from cases.server import Answer


def answer(ask):
    if ask.path == "/login":
        return Answer({"token": f"t{ask.number}"})
    return Answer({"error": "no rights"}, 401)
