from cases.server import Answer


def answer(ask):
    from urllib.parse import unquote

    if unquote(ask.raw_query) != "ids[]=1&ids[]=2&filter[a][gte]=5&empty=&flag=true":
        return Answer({"error": ask.raw_query}, 400)
    return Answer([{"id": 1}])
