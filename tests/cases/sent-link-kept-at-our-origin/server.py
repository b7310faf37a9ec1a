from cases.server import Answer

LINKS = {
    "": '<https://inner.invalid:8443/items?page=2{&sort}>; rel="next"',
    "page=2": '<//inner.invalid/items?page=3>; rel="next"',
    "page=3": '<?page=4>; rel="next"',
}


def answer(ask):
    if ask.headers.get("Authorization") != "Bearer t0ken-of-12-chars":
        return Answer({"error": "unauthorized"}, 401)
    page = int(ask.query.get("page", 1))
    link = LINKS.get(ask.raw_query.partition("{")[0])
    return Answer([{"id": page}], headers={"Link": link} if link else {})
