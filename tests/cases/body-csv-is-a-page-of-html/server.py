"""A login page with status 200 in place of CSV."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    return Answer(b"<html>\n<body>please log in</body>\n</html>\n")
