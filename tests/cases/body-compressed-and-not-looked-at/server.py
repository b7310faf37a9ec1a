"""A payload of gzip where the config says that none is compressed."""

import gzip

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    return Answer(gzip.compress(b'[{"id": 1}]'))
