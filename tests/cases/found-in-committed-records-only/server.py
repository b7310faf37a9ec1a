from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        many = [
            {"id": each, "stars": stars} for each, stars in (("a", 5), ("b", 0), ("c", 7), ("e", 9))
        ]
        return Answer([*many, {"id": 4}])
    return Answer([{"n": 1}])
