from cases.server import Listing, rows

answer = Listing(rows(100), by="offset", size=100)
