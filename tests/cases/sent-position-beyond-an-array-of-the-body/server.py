from cases.server import Listing, rows

answer = Listing(rows(4))
