from cases.server import Answer


def answer(ask):
    page = int(ask.query.get("page", 1))
    following = f"{ask.origin}/items?page=2" if page == 1 else None
    return Answer({"data": [{"id": page}], "meta": {"made": f"t{page}", "next": following}})
