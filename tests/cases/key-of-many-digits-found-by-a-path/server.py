from cases.server import Answer


def answer(ask):
    page = int(ask.query["page"])
    return Answer(
        b'{"data":[{"r":{"price":1234567890123.123456%d}}]}' % page if page < 4 else b'{"data":[]}'
    )
