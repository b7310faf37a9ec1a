from cases.server import Answer

TIMES = {1: 1714979200100, 2: 1714979200700, 3: 1714979202200}  # milliseconds


def answer(ask):
    late = {4: 1714979200800} if ask.run > 1 else {}
    found = sorted((at, number) for number, at in {**TIMES, **late}.items())
    return Answer(
        [{"id": number, "t": at // 1000} for at, number in found if at >= int(ask.query["since"])]
    )
