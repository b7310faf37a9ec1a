from cases.server import Listing

answer = Listing(
    [{"id": number, "deleted": number in (3, 4)} for number in range(1, 7)], by="offset"
)
