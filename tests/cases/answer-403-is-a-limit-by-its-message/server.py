from cases.server import Answer


def answer(ask):
    if ask.number == 2:
        return Answer({"message": "You have exceeded a secondary rate limit. Please wait."}, 403)
    if "page" in ask.query:
        return Answer([{"id": 2}])
    return Answer([{"id": 1}], headers={"Link": f'<{ask.origin}/items?page=2>; rel="next"'})
