from cases.server import Answer


def answer(ask):
    """Both the proxy and what stands behind it: the request says by its Host whom it is for."""
    if ask.headers.get("Proxy-Authorization") != "Basic bWU6cHIweHktcDRzcyB3b3Jk":
        return Answer({"error": "who are you?"}, 407)
    if ask.headers.get("Authorization") != "Bearer s3cret-key-1234":
        return Answer({"error": "no key"}, 401)
    return Answer([{"id": 1}])
