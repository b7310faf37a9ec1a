from cases.server import Answer


def answer(ask):
    return Answer(
        b'<orders><at>noon</at><order id="1"><line><line>a</line></line><line><line>b</line></line></order><order id="2"><line><line>c</line></line></order></orders>'
    )
