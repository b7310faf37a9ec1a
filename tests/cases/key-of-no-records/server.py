from cases.server import Listing

answer = Listing([], size=20)
