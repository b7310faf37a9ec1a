from cases.server import Answer

ITEMS = [(1, [1, 2]), (2, []), (3, []), (4, []), (5, [3]), (6, [])]


def answer(ask):
    after = int(ask.query.get("after", 0))
    items = [{"id": i, "rows": [{"v": v} for v in vs]} for i, vs in ITEMS if i > after][:2]
    return Answer({"items": items})
