from cases.server import Answer


def answer(ask):
    page = int(ask.query.get("page", 1))
    if ask.path != "/bot123456:ABC-def/items":
        return Answer({"error": f"no {ask.path}"}, 401)
    links = {1: "<?page=2>; rel=next", 2: "</bot123456:ABC-def/items?page=3>; rel=next"}
    return Answer([{"id": page}], headers={"Link": links[page]} if page in links else {})
