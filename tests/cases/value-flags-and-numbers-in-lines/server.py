from cases.server import Answer

LINES = (
    b'{"id": "1", "price": "1,234.5", "on": "Y", "n": ""}\n'
    b'{"id": "2", "price": "7", "on": 0, "n": "-5"}\n'
    b'{"id": "3", "price": "x", "on": "N", "n": "1"}\n'
)


def answer(ask):
    return Answer(LINES)
