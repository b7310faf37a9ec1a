from cases.server import Answer


def answer(ask):
    return Answer({"data": {"a": {"id": "x", "v": 1}, "b": {"id": "y", "v": 2}}})
