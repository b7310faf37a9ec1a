from cases.server import Listing

answer = Listing(
    [{"id": number if number % 2 else "x"} for number in range(10)], by="offset", size=20
)
