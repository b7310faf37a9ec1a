from cases.server import Answer


def answer(ask):
    return Answer(b'[{"id": 1, "name": "a\\ud800"}]')
