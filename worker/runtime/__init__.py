"""What waits: fetch workers, channels, the commit protocol, durable files, signals.

`committer.py` is the commit; `channel.py` bounds the memory between two stages.
"""
