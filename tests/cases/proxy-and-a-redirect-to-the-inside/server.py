from cases.server import Answer


def answer(ask):
    """Both the proxy and what stands behind it: the request says by its Host whom it is for."""
    if ask.headers["Host"] != "api.example.test":
        return Answer([{"id": 666}])
    return Answer(status=302, headers={"Location": "http://169.254.169.254/latest"})
