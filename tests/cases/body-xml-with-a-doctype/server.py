"""XML whose document type defines entities that grow without end."""

from cases.server import Answer, Ask

BODY = b"""<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<r><item><id>&b;</id></item></r>"""


def answer(ask: Ask) -> Answer:
    return Answer(BODY)
