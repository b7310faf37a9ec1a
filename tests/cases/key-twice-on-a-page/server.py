from cases.server import Listing

answer = Listing([{"id": number, "name": "x"} for number in (1, 1, 2, 3)], by="offset")
