from cases.server import Answer


def answer(ask):
    page = int(ask.query.get("page", 1))
    if ask.query.get("key") != "k#1" or ask.raw_query.count("key=") != 1:
        return Answer({"error": ask.raw_query}, 401)
    nxt = f"/items?page={page + 1}&key=k%231" if page < 3 else None
    return Answer({"data": [{"id": page}], "next": nxt})
