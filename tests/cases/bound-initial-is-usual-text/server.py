from cases.server import Answer


def answer(ask):
    since = int(ask.query["since"])
    return Answer(
        [
            {"id": i, "t": 1714979289000 + i}
            for i in range(1, ask.run + 1)
            if 1714979289000 + i >= since
        ]
    )
