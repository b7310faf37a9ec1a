def split(record):
    names = record["id"].split(",")
    return [{**record, "id": name or None} for name in names]
