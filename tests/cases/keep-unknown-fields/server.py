from cases.server import Answer


def answer(ask):
    return Answer(
        b"""{"data": [{"id": 1, "x": 1.10, "updated_at": "a"}, {"id": 2}, {"z": [1 , 2], "id": 3, "a": {"\\u00e9": 12345678901234567890}}]}"""
    )
