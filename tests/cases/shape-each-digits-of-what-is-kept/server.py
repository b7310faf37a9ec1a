from cases.server import Answer


def answer(ask):
    return Answer(b'{"items": [{"price": 1234567890123456.123456789012, "rows": [{"v": 1}]}]}')
