from cases.server import Answer, rows

FIRST = "sort=at&sort=id&state=open&state=closed"


def answer(ask):
    if ask.raw_query == FIRST:
        return Answer(rows(2))
    if ask.raw_query == "sort=at&sort=id&since=2024-05-06T00:00:02Z":
        return Answer(rows(3)[1:])
    return Answer({"error": ask.raw_query}, 400)
