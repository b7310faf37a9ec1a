"""A SOAP service: the question is XML text with the mark in it, the answer has namespaces, and an error is a fault with status 500."""

from cases.server import Answer, Ask, rows, stamp

ENVELOPE = (
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">'
    "<soap:Body>%s</soap:Body></soap:Envelope>"
)


def answer(ask: Ask) -> Answer:
    since = stamp(0) if ask.run == 1 else stamp(2)
    if f'<List team="red"><since>{since}</since>' not in ask.body:
        return Answer((ENVELOPE % f"<x>{ask.body}</x>").encode(), 400)
    if ask.number == 1:
        fault = "<soap:Fault><faultcode>Server.Busy</faultcode></soap:Fault>"
        return Answer((ENVELOPE % fault).encode(), 500)
    items = "".join(
        f"<n:Item><n:id>{row['id']}</n:id><n:updated_at>{row['updated_at']}</n:updated_at></n:Item>"
        for row in rows(1 + ask.run)
        if row["updated_at"] >= since
    )
    body = f'<n:ListResponse xmlns:n="urn:n">{items}</n:ListResponse>'
    return Answer((ENVELOPE % body).encode(), headers={"Content-Type": "text/xml"})
