from cases.server import Listing

answer = Listing([{"id": number, "name": "x"} for number in range(1, 5)], by="offset")
