from cases.server import Listing, stamp

AT = stamp(1)
answer = Listing(
    [
        {"id": 1, "updated_at": AT, "name": "a"},
        {"id": None, "updated_at": AT, "name": "b"},
        {"id": None, "updated_at": AT, "name": "c"},
    ],
    bound=("updated_since", "updated_at"),
)
