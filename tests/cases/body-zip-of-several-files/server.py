"""A zip with several files: none of them is taken for the page."""

import io
import zipfile

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.json", "[]")
        archive.writestr("b.json", "[]")
    return Answer(packed.getvalue())
