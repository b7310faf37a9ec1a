from cases.server import Listing, rows

answer = Listing(rows(5), by="offset", total=lambda found, ask: str(len(found)))
