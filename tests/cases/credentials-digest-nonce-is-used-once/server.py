from cases.digest import Challenger
from cases.server import Answer

SERVER = Challenger()


def answer(ask):
    if (refusal := SERVER.refusal(ask)) is not None:
        return refusal
    page = int(ask.query["page"])
    return Answer([{"id": page}] if page < 6 else [])
