from cases.server import Listing, rows

answer = Listing(rows(12), size=5)
