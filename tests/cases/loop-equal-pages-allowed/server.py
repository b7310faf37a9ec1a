from cases.server import Listing

answer = Listing([{"id": 1}] * 6, by="page")
