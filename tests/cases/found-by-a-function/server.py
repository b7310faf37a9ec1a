from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"id": "a,b"}, {"id": "c"}, {"id": "d,"}])
    return Answer([{"n": 1}])
