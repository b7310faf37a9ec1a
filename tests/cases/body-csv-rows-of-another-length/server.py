"""CSV with rows that have more or fewer values than columns: each is one dead letter."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    return Answer(b"id,name\n1,a\n2\n3,c\n4,d,e\n5,f\nx,g\n")
