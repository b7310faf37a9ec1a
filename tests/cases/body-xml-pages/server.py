"""XML pages with namespaces and attributes: one element is a record like many, and no element is an empty page."""

from cases.server import Answer, Ask

PAGES = {
    "": """<entry id="1"><a:name>Ann &amp; Bob</a:name><tags>x</tags><tags>y</tags></entry>
           <entry id="2"><a:name/><tags>z</tags></entry><next>b</next>""",
    "b": "<entry id='3'/><next>c</next>",
    "c": "\n",
}


def answer(ask: Ask) -> Answer:
    inner = PAGES[ask.query.get("at", "")]
    text = f'<?xml version="1.0"?><feed xmlns="urn:f" xmlns:a="urn:a">{inner}</feed>'
    return Answer(text.encode(), headers={"Content-Type": "application/xml"})
