def told(record, context):
    values = context.partition
    return {**record, "repo": values["repo"], "owner": values["owner"]}
