from cases.server import Answer

ROWS = [{"id": number, "at": f"2024-05-06T07:08:09.{number}99Z"} for number in range(1, 5)]


def answer(ask):
    found = ROWS[: 1 + ask.run]
    return Answer([row for row in found if row["at"][:19] + "Z" >= ask.query["since"]])
