from cases.server import Answer

ROWS = [{"id": i} for i in range(1, 6)]


def answer(ask):
    at = (int(ask.query["page"]) - 1) * 2
    if at >= 5:
        return Answer({"code": "rest_post_invalid_page_number"}, 400)
    return Answer(ROWS[at : at + 2], headers={"X-WP-Total": "5", "X-WP-TotalPages": "3"})
