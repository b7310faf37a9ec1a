from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": each} for each in "abc"])
    if ask.path == "/repos/b":
        return Answer({"message": "gone"}, status=404)
    return Answer([{"n": ask.run}])
