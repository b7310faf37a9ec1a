from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        return Answer(
            [{"id": "x/y", "owner": "o&1", "stars": 3}, {"id": "z", "owner": "ö", "stars": 4}]
        )
    assert ask.headers["X-Stars"] in "34"
    owner = "o&1" if ask.path == "/o%261/x%2Fy" else "ö" if ask.path == "/%C3%B6/z" else ask.path
    assert ask.query["of"] == owner, ask.query
    return Answer([{"n": int(ask.headers["X-Stars"])}])
