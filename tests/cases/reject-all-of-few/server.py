from cases.server import Listing

answer = Listing([{"id": f"x{number}"} for number in range(5)], by="offset", size=10)
