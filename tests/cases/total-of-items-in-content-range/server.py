from cases.server import Answer


def answer(ask):
    if ask.query["list"] == "none":
        return Answer([], headers={"Content-Range": "*/0"})
    at = int(ask.query["at"])
    part = [{"id": i} for i in range(at, at + 2) if i < 5]
    total = "5" if at == 0 else "*"
    return Answer(part, 206, {"Content-Range": f"items {at}-{at + len(part) - 1}/{total}"})
