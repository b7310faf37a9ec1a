from cases.server import Answer


def answer(ask):
    since = int(ask.body["query"].removeprefix("id >= "))
    return Answer([{"id": number} for number in range(1, 4 + ask.run) if number >= since])
