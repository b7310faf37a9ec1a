from cases.server import Listing, rows

answer = Listing(rows(3), by="offset", size=10, page=lambda ask, at: 0)
