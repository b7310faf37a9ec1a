from cases.server import Listing, rows, stamp

NEW = [{"id": f"x{number}", "updated_at": stamp(200)} for number in range(12)]


def found(ask):
    return rows(100) + NEW * (ask.run == 2)


answer = Listing(found, by="offset", size=200)
