from cases.server import Listing, rows

answer = Listing(rows(3), by="page")
