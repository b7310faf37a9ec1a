from cases.server import Answer


def answer(ask):
    return Answer(
        b"""{"data": [{"id": 1, "home": {"city": "x", "zip": "1"}, "all": [{"city": "y"}, {"city": "z", "geo": {"lat": 1.0}}], "by": {"a": {"city": "w", "no": 7}}}, {"id": 2, "home": {"city": "x"}, "all": [], "by": {}}]}"""
    )
