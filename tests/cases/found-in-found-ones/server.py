from cases.server import Answer


def answer(ask):
    if ask.path == "/orgs":
        return Answer([{"id": "o1"}, {"id": "o2"}])
    if ask.path in ("/o1", "/o2"):
        return Answer([{"id": ask.path[1:] + each} for each in "ab"])
    return Answer([{"n": 1}])
