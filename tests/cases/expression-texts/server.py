from cases.server import Answer


def answer(ask):
    return Answer(
        b"""{"data": [{"id": 1, "path": "ab/c/d-e", "phone": "+49 (30) 1-2"}, {"id": 2, "path": "x", "phone": null}]}"""
    )
