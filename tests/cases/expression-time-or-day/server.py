from cases.server import Answer


def answer(ask):
    return Answer(
        b"""{"data": [{"id": 1, "at": "2024-05-06T07:08:09.5Z"}, {"id": 2, "at": "2024-05-06"}, {"id": 3, "at": "soon"}, {"id": 4, "at": null}]}"""
    )
