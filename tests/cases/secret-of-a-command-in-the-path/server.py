from cases.server import Answer


def answer(ask):
    if ask.path != "/v-s3cret-key-1234/items":
        return Answer({"error": f"no {ask.path}"}, 401)
    at = int(ask.query["offset"])
    return Answer({"data": [{"id": number} for number in range(1, 6)][at : at + 2], "total": 5})
