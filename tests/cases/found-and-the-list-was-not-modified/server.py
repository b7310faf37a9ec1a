from cases.server import Answer


def answer(ask):
    if ask.path == "/repos":
        if ask.headers.get("if-none-match") == '"v1"':
            return Answer(status=304)
        return Answer([{"id": each} for each in "ab"], headers={"ETag": '"v1"'})
    return Answer([{"n": ask.run}])
