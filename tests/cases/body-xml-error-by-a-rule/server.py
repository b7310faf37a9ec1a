"""An XML error that a rule reads: it is asked again."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    if ask.number == 1:
        return Answer(b"<r><error><code>17</code></error></r>")
    return Answer(b"<r><item><id>1</id></item></r>")
