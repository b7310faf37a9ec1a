from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer([{"it": {"key": "a"}}, {"it": None}, {"it": {"key": "b"}}])
    return Answer([{"n": 1}])
