from cases.server import Answer


def answer(ask):
    return Answer(
        {
            "latitude": 52.5,
            "hourly": {"time": ["00:00", "01:00"], "rain": [0.5, None], "unit": "mm"},
        }
    )
