from cases.server import Answer


def answer(ask):
    return Answer(
        b"""{"data": [{"id": 1, "at": "06.05.2024 09:08"}, {"id": 2, "at": "06.01.2024 09:08"}, {"id": 3, "at": "31.03.2024 02:30"}, {"id": 4, "at": "30.02.2024 09:08"}, {"id": 5, "at": null}]}"""
    )
