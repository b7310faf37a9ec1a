from cases.server import Answer


def answer(ask):
    if ask.number == 1:
        return Answer(
            {},
            429,
            {"Date": "Mon, 06 May 2030 07:08:09 GMT", "X-Reset-At": "2030-05-06T07:08:09.2Z"},
        )
    return Answer([{"id": 1}])
