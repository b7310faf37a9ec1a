from cases.server import Answer

WRITTEN = ["s3cret%2Fkey+1", "s3cret%2fkey%2b1", "%733cret%2Fkey%2B1"]


def answer(ask):
    page = int(ask.query.get("page", 1))
    if ask.path != "/v1/s3cret%2Fkey%2B1/items":
        return Answer({"error": f"no {ask.path}"}, 401)
    nxt = f"{ask.origin}/v1/{WRITTEN[page - 1]}/items?page={page + 1}" if page < 3 else None
    return Answer({"data": [{"id": page}], "next": nxt})
