from cases.server import Answer

VALUES = ["a&b=c", "1+1", "50%", "#x", "a b", "ü"]


def answer(ask):
    if ask.query.get("fixed") != "x&y=z" or "+" in ask.raw_query:
        return Answer({"error": ask.raw_query}, 400)
    return Answer([{"id": VALUES.index(ask.query["q"])}])
