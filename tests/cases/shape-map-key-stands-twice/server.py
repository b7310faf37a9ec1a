from cases.server import Answer


def answer(ask):
    return Answer(b'{"data": {"a": {"v": 1}, "b": {"v": 2}, "a": {"v": 3}}}')
