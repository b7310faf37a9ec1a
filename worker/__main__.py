"""`python -m worker` = `worker`."""

from __future__ import annotations

import signal


def main(args: list[str] | None = None) -> None:
    """The console script. Signals count from its first moment on.

    Until they are handled they wait. Without that, the process with number 1 of a container would
    never be told of them.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    from worker.runtime.lifecycle import catching

    try:
        with catching() as signals:
            from worker.cli import main as run_command_line

            run_command_line(args, signals)
    except KeyboardInterrupt:  # while the command line was imported
        raise SystemExit(128 + signal.SIGINT) from None


if __name__ == "__main__":
    main()
