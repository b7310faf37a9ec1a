"""Lines of which one does not have the records where the config says."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    return Answer(b'{"record": {"id": 1}}\n{"error": "quota"}\n')
