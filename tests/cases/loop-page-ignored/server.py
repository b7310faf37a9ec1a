from cases.server import Listing, rows

answer = Listing(rows(5), by="page", page=lambda ask, at: 0)
