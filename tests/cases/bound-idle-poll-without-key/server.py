from cases.server import Listing, rows

answer = Listing(rows(4), bound=("updated_since", "updated_at"))
