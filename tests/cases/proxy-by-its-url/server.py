from cases.server import Answer


def answer(ask):
    """Both the proxy and what stands behind it: the request says by its Host whom it is for."""
    if ask.headers["Host"] != "api.example.test":
        return Answer({"error": "this is a proxy"}, 400)
    page = int(ask.query.get("page", 1))
    nxt = f"http://api.example.test/items?page={page + 1}" if page < 3 else None
    return Answer({"data": [{"id": page}], "next": nxt})
