from cases.server import Answer


def answer(ask):
    return Answer({"data": {"a": {"id": "a", "v": 1}, "b": {"v": 2}}})
