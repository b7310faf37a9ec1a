"""Lines of a message protocol: records stand below a key that other messages lack."""

from cases.server import Answer, Ask

LINES = b"""{"type": "SCHEMA", "schema": {}}
{"type": "RECORD", "record": {"id": 1, "updated_at": "x"}}
{"type": "RECORD", "record": {"id": "no"}}
{"type": "RECORD", "record": {"id": 2}}
{"type": "STATE", "value": 5}
"""


def answer(ask: Ask) -> Answer:
    return Answer(LINES)
