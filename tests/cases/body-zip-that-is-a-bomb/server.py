"""A zip of a kilobyte that inflates to megabytes of nothing."""

import io
import zipfile

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", "[" + " " * 5_000_000 + "]")
    return Answer(packed.getvalue())
