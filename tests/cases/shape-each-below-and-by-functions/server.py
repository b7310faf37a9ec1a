from cases.server import Answer


def answer(ask):
    return Answer(
        {
            "data": {
                "groups": [
                    {"active": True, "info": {"name": "a"}, "rows": [{"v": 1}, {"v": 0}]},
                    {"active": False, "info": {"name": "b"}, "rows": [{"v": 2}]},
                ]
            }
        }
    )
