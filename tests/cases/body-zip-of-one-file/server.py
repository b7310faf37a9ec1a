"""A zip with one CSV in it, and with what macOS adds."""

import io
import zipfile

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/", "")
        archive.writestr("data/items.csv", "id,name\n1,a\n2,b\n")
        archive.writestr("__MACOSX/data/._items.csv", "\0\5")
    return Answer(packed.getvalue(), headers={"Content-Type": "application/zip"})
