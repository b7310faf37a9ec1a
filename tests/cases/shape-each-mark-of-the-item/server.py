from cases.server import Answer

ITEMS = [
    {"id": 1, "changed": "2024-01-02T00:00:00Z", "rows": [{"v": 1}, {"v": 2}]},
    {"id": 2, "changed": "2024-01-03T00:00:00Z", "rows": [{"v": 1}]},
    {"id": 3, "changed": "2024-01-04T00:00:00Z", "rows": [{"v": 1}, {"v": 2}]},
]


def answer(ask):
    there = ITEMS[: ask.run + 1]
    return Answer({"items": [each for each in there if each["changed"] >= ask.query["since"]]})
