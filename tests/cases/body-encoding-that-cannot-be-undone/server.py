"""A content coding that nobody can undo without a key."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    return Answer(b"[]", headers={"Content-Encoding": "aes128gcm"})
