from cases.aws import is_signed
from cases.server import Answer


def answer(ask):
    if not is_signed(ask):
        return Answer({"message": "The request signature we calculated does not match"}, 403)
    page = int(ask.query["page"])
    return Answer([{"id": page}] if page < 4 else [])
