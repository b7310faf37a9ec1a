"""The public kit for tests: a clock that tests own, and a server that misbehaves on purpose."""
