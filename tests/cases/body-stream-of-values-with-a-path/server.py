"""JSON values one behind the other, each of which holds records."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    return Answer(
        b'{"data": [{"id": 1}, {"id": 2}]}{"data": []} {"data": {"id": 3}}\n{"data": null}'
    )
