from cases.server import Answer


def answer(ask):
    if ask.headers.get("Authorization") != "Bearer tok":
        return Answer({}, 401)
    if ask.path != "/api/items":
        return Answer({"error": ask.path}, 404)
    page = int(ask.query.get("page", 1))
    links = {"next": f"http://backend.internal:8080/api/items?page={page + 1}"} if page < 3 else {}
    return Answer({"data": [{"id": page}], "links": links})
