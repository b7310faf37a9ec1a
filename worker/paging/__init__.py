"""What a pass is, where it stands, and what the answer to a request means. Pure.

`planner.py` decides which page is asked for next; `judge.py` decides what a page means.
"""
