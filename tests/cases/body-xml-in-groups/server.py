"""XML whose records stand in several groups, in the character set that the document declares."""

from cases.server import Answer, Ask

BODY = """<?xml version='1.0' encoding='ISO-8859-2'?>
<r><group><item><id>1</id><name>Łódź</name></item></group><group/>
<group><item><id>2</id></item><item><id>x</id></item><item><id> 3 </id></item></group></r>"""


def answer(ask: Ask) -> Answer:
    return Answer(BODY.encode("iso-8859-2"), headers={"Content-Type": "text/xml"})
