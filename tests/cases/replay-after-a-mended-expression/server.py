from cases.server import Answer


def answer(ask):
    return Answer(
        b"""{"data": [{"id": 1, "at": "1714979289"}, {"id": 2, "at": ""}, {"id": 3, "at": "1714979290.5"}]}"""
    )
