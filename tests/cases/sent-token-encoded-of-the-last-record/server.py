from cases.server import Answer

PAGES = {"": [1, 2], "after=%5B2%2C%22x%22%5D": [3], "after=%5B3%2C%22x%22%5D": []}


def answer(ask):
    ids = PAGES.get(ask.raw_query)
    if ids is None:
        return Answer({"error": ask.raw_query}, 400)
    return Answer([{"id": each, "at": f"%5B{each}%2C%22x%22%5D"} for each in ids])
