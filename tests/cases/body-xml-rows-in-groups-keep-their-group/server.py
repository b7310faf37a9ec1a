"""XML orders whose lines are the records: they keep the number of the order and the time of the page, and an order may have one line or none."""

from cases.server import Answer, Ask

PAGES = {
    1: "<order no='1'><line><sku>a</sku></line><line><sku>b</sku></line></order><order no='2'/>",
    2: "<order no='3'><line><sku>a</sku></line></order>",
}


def answer(ask: Ask) -> Answer:
    inner = PAGES.get(int(ask.query["page"]), "")
    return Answer(f"<orders at='2024-05-06'>{inner}</orders>".encode())
