from cases.server import Answer

CAP = 8  # whatever is asked for
FAT = range(17, 21)  # of these records, three make a page too large


def answer(ask):
    size, page = min(int(ask.query["size"]), CAP), int(ask.query["page"])
    ids = [each for each in range((page - 1) * size + 1, page * size + 1) if each <= 30]
    if sum(each in FAT for each in ids) > 2:
        return Answer({"error": "too large"}, 413)
    return Answer([{"id": each} for each in ids])
