from cases.server import Listing, stamp

OLD = [{"id": number, "updated_at": stamp(20)} for number in range(100)]
NEW = [{"id": f"x{number}", "updated_at": stamp(21)} for number in range(12)]


def found(ask):
    return OLD + NEW * (ask.run == 2)


answer = Listing(found, by="offset", size=200, bound=("since", "updated_at"))
