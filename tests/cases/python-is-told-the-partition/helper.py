def owned(record, context):
    owner = f"{context.pipeline}/{context.partition['tenant']}"
    return {**record, "owner": owner, "dated": context.received.utcoffset() is not None}
