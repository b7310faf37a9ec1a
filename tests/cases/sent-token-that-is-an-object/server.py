from cases.server import Answer


def answer(ask):
    key = ask.body.get("ExclusiveStartKey")
    at = 0 if key is None else int(key["id"]["N"])
    body = {"Items": [{"id": at + 1}]}
    if at < 2:
        body["LastEvaluatedKey"] = {"id": {"N": str(at + 1)}, "s": {"S": "é"}}
    return Answer(body)
