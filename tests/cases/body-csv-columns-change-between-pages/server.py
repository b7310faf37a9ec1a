"""CSV pages whose columns stand in another order on the second page."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    if "second" in ask.query:
        return Answer(b"name,id\nBob,2\n")
    return Answer(b"id,name\n1,Ann\n", headers={"X-Next": f"{ask.origin}/items?second=1"})
