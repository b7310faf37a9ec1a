from cases.server import Answer


def answer(ask):
    if ask.path == "/login":
        return Answer({"message": f"no such user with {ask.body['password']}"}, 401)
    return Answer([{"id": 1}])
