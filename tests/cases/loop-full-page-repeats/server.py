from cases.server import Listing, rows

answer = Listing(rows(2), by="page", page=lambda ask, at: 0)
