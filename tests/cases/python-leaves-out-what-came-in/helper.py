def rows(record):
    return [{"device": record["device"], "v": point["v"]} for point in record["points"]]
