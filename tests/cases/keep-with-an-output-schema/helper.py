def tidy(record):
    rest = record["_rest"]
    return {**record, "_rest": rest and rest + "!"}
