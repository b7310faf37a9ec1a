from cases.server import Answer


def answer(ask):
    date = {"Date": "Mon, 06 May 2024 00:00:00 GMT"}
    if ask.number == 1:
        return Answer({"meta": {"until": 1714953600200}}, 503, date)
    if ask.number == 2:
        return Answer({"meta": {}}, 503, {**date, "X-Until": "2024-05-06T02:00:00.2+02:00"})
    return Answer([{"id": 1}], headers=date)
