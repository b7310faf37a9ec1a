from cases.server import Listing, stamp

answer = Listing(
    [{"id": number, "updated_at": stamp(1)} for number in range(1, 13)],
    size=20,
    bound=("updated_since", "updated_at"),
)
