from cases.server import Answer


def answer(ask):
    return Answer(
        b"""{"data": [{"device": "a", "points": [{"v": 1}, {"v": 2}]}, {"device": "b", "points": []}, {"device": "c", "points": [{"v": 3}]}]}"""
    )
