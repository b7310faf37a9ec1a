"""Pages in UTF-16, in Shift JIS as Content-Type says, and with a word that is no character set."""

from cases.server import Answer, Ask

PAGES = {
    1: ("utf-16", "application/json"),
    2: ("shift_jis", 'application/json; Charset="Shift_JIS"'),
    3: ("utf-8", "application/json; charset=none"),
    4: ("utf-8-sig", "application/json; charset=ISO-8859-1"),
}


def answer(ask: Ask) -> Answer:
    page = int(ask.query["page"])
    if page not in PAGES:
        return Answer([])
    codec, kind = PAGES[page]
    text = f'[{{"id": {page}, "name": "東京"}}]'
    return Answer(text.encode(codec), headers={"Content-Type": kind})
