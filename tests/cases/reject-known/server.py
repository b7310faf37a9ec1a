from cases.server import Listing, stamp

BAD = [{"id": f"x{number}", "updated_at": stamp(20)} for number in range(9)]
RIGHT = [{"id": number, "updated_at": stamp(20)} for number in range(9)]


def found(ask):
    """What is wrong stays where the next run begins; what is new there is right."""
    return BAD + RIGHT + [{"id": 100, "updated_at": stamp(21)}] * (ask.run == 2)


answer = Listing(found, by="offset", size=50, bound=("since", "updated_at"))
