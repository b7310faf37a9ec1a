from cases.server import Answer


def answer(ask):
    page = int(ask.query.get("page", 1))
    if ask.raw_query.count("apikey=s3cret-key-1234") != 1:
        return Answer({"error": ask.raw_query}, 401)
    nxt = {1: "/items?page=2&apikey=s3cret-key-1234", 2: "/items?page=3"}
    return Answer({"data": [{"id": page}], "next": nxt.get(page)})
