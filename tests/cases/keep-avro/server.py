import io

import fastavro
from cases.server import Answer

PART = {
    "type": "record",
    "name": "Part",
    "fields": [{"name": "n", "type": "int"}, {"name": "at", "type": ["null", "string"]}],
}
WRITER = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "more", "type": "double"},
        {"name": "id", "type": "int"},
        {"name": "parts", "type": {"type": "array", "items": PART}},
    ],
}
ROWS = [{"more": 0.5, "id": 1, "parts": [{"n": 1, "at": None}, {"n": 2, "at": "x"}]}]


def answer(ask):
    body = io.BytesIO()
    fastavro.writer(body, WRITER, ROWS)
    return Answer(body.getvalue())
