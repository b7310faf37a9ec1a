from cases.server import Answer


def answer(ask):
    return Answer(b'<orders at="noon"><order id="1"><line><line>a</line></line></order></orders>')
