from cases.server import Answer


def answer(ask):
    """Both the proxy and what stands behind it: the request says by its Host whom it is for."""
    return Answer({"sent": dict(ask.headers)}, 502)
