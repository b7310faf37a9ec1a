from cases.server import Answer, rows


def answer(ask):
    if ask.raw_query != "filter=a%2Cb,c&x=1+2&empty=&and=a%20b":
        return Answer({"error": ask.raw_query}, 400)
    return Answer(rows(2))
