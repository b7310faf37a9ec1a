from cases.server import Answer


def answer(ask):
    if not ask.raw_query:
        return Answer({"value": [{"id": 1}], "token": "a+b%2Bc"})
    return (
        Answer({"value": [{"id": 2}]})
        if ask.raw_query == "t=a+b%2Bc"
        else Answer({"error": ask.raw_query}, 400)
    )
