import io

import fastavro
from cases.server import Answer

WRITER = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "divisor", "type": "int"},
        {
            "name": "value",
            "type": [
                {"type": "fixed", "name": "Plain", "size": 5},
                {"type": "fixed", "name": "Money", "size": 4},
            ],
        },
    ],
}
ROWS = [
    {"divisor": 1, "value": ("Money", b"\0\0\0\1")},
    {"divisor": 0, "value": ("Money", b"\0\0\0\0")},
    {"divisor": 0, "value": ("Plain", b"0.000")},
]


def answer(ask):
    body = io.BytesIO()
    fastavro.writer(body, WRITER, ROWS)
    return Answer(body.getvalue())
