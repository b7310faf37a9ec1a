from cases.server import Answer

PAGES = {
    "after=%2a&limit=2": 0,
    "after=*&limit=2": 0,
    "after=a%2Fb%3d&limit=2": 2,
    "limit=2&after=a%2Fb%3d": 2,
}


def answer(ask):
    at = PAGES.get(ask.raw_query)
    if at is None:
        return Answer({"error": ask.raw_query}, 400)
    return Answer(
        [{"id": at + 1}, {"id": at + 2}], headers={"X-Next": "a%2Fb%3d"} if at == 0 else {}
    )
