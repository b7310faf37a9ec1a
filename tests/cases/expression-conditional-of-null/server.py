from cases.server import Answer


def answer(ask):
    return Answer(
        b"""{"data": [{"id": 1, "n": 6, "limit": 6}, {"id": 2, "n": 5, "limit": 6}, {"id": 3, "limit": 6}, {"id": 4, "n": 7}, {"id": 5, "n": 8}]}"""
    )
