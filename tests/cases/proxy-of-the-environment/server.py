from cases.server import Answer


def answer(ask):
    """Both the proxy and what stands behind it: the request says by its Host whom it is for."""
    if ask.headers.get("Proxy-Authorization") != "Basic bWU6cHIweHktcDRzcw==":
        return Answer({"error": "who are you?"}, 407)
    return Answer([{"id": 1}])
