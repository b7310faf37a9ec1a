from cases.server import Answer


def answer(ask):
    if "locator" in ask.query:
        return Answer([{"id": 2}], headers={"Sforce-Locator": "null"})
    return Answer([{"id": 1}], headers={"Sforce-Locator": "AbC"})
