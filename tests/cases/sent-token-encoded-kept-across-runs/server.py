from cases.server import Answer

PAGES = {"": ([1, 2], "a%2B1"), "delta=a%2B1": ([3], "a%2B2"), "delta=a%2B2": ([], "a%2B2")}


def answer(ask):
    if ask.raw_query not in PAGES:
        return Answer({"error": ask.raw_query}, 400)
    ids, delta = PAGES[ask.raw_query]
    return Answer({"value": [{"id": each} for each in ids], "delta": delta})
