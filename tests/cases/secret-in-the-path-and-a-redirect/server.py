from cases.server import Answer


def answer(ask):
    if ask.path == "/v1/s3cret-key-1234/items":
        return Answer(status=302, headers={"Location": "/v2/s3cret-key-1234/items"})
    if ask.path != "/v2/s3cret-key-1234/items":
        return Answer({"error": f"no {ask.path}"}, 401)
    return Answer([{"id": 1}])
