"""Where a thread is, for others who ask while it hangs.

Nothing is noted for each record: a look at the stack says it.
"""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Final

WORKING_ON: Final = "working_on"
"""A local of this name in a function of ours says what the function works on."""
_OURS: Final = os.path.dirname(os.path.dirname(__file__))  # pathlib is slow to import
_SIGNALS: Final = f"{_OURS}/runtime/lifecycle.py"


def place_of(thread: int) -> str:
    """Where a thread is: the innermost function, with its file and line.

    In code that a function of ours has called which says what it works on, that is told first, and
    the function that it called.
    """
    innermost = sys._current_frames().get(thread)  # noqa: SLF001  # documented, for this
    while innermost is not None and innermost.f_code.co_filename == _SIGNALS:
        innermost = innermost.f_back  # its handler interrupts what the thread does
    if innermost is None:
        return "a thread that has ended"
    frames = [innermost]
    while (caller := frames[-1].f_back) is not None:
        frames.append(caller)
    for number, frame in enumerate(frames):
        if frame.f_code.co_filename.startswith(_OURS) and (what := frame.f_locals.get(WORKING_ON)):
            called = [innermost] if number < 2 else [frames[number - 1], innermost]
            return f"{what}: {', in '.join(map(_line_of, called))}"
    return _line_of(innermost)


def _line_of(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_qualname} ({code.co_filename}:{frame.f_lineno})"
