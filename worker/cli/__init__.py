"""The command line. Commands are imported when they are used, which keeps `--help` quick."""

from __future__ import annotations

import gc
import io
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from worker import __version__
from worker.core.errors import Exit, WorkerError
from worker.runtime.streams import harmless, open_streams, say

if TYPE_CHECKING:
    from worker.runtime.lifecycle import Signals

STUCK_S: Final = 2.0
"""How long the program waits for the reader of its errors."""
INTERRUPTED: Final = 130
"""The exit code of a Ctrl-C where nothing drains."""
CONFIGS: Final = click.Path(path_type=Path, readable=False)
"""A config file. That it cannot be read is an error of the config, not of the command line."""

_COMMANDS: Final = {
    "run": ("worker.cli.run", "Run pipelines, as a daemon or once."),
    "check": ("worker.cli.check", "Check a config and say what it promises."),
    "read": ("worker.cli.read", "Print the first records of a pipeline; write nothing."),
    "schema": (
        "worker.cli.schema",
        "Compare, show and propose Avro schemas; the schema of the config.",
    ),
    "verify": ("worker.cli.verify", "Compare published files with the commit log."),
    "cat": ("worker.cli.cat", "Print Avro files as JSON lines."),
    "state": (
        "worker.cli.state",
        "Show, set, adopt, reset, rebuild or back up how far pipelines have come.",
    ),
    "prune": ("worker.cli.prune", "Forget old commits, and shrink the commit log."),
    "status": ("worker.cli.status", "Ask a running worker how its pipelines are."),
    "dlq": ("worker.cli.dlq", "Look at dead letters, replay or delete them."),
    "demo": ("worker.cli.demo", "Run the built-in example against a local server."),
}


class _Lazy(click.Group):
    """The commands of the table, of which one is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table, so that help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="worker")
def cli() -> None:
    """Turns HTTP APIs into schema-true files, exactly once."""


def show(error: WorkerError) -> None:
    """Prints an error as the operator reads it."""
    lines = [f"error [{error.code}]"]
    if error.where:
        lines.append(f"  where:  {error.where}")
    lines += [
        f"  {'what: ' if number == 0 else '      '}  {line}"
        for number, line in enumerate(error.message.splitlines())
    ]
    if error.remedy:
        lines.append(f"  remedy: {error.remedy}")
    say(harmless("\n".join(lines)) + "\n", wait_s=STUCK_S)


def main(args: list[str] | None = None, signals: Signals | None = None) -> Any:
    """The command line: exceptions become exit codes here and nowhere else.

    Args:
        signals: of the process, for the commands that drain; None: a run handles them itself.
    """
    # importing makes many objects that stay: the collector took a tenth of the start
    gc.set_threshold(200_000, 20, 50)
    open_streams()
    try:
        code = cli.main(args, standalone_mode=False, obj=signals)
        sys.stdout.flush()
    except click.UsageError as error:
        text = io.StringIO()
        error.show(text)
        say(text.getvalue(), wait_s=STUCK_S)
        code = Exit.USAGE
    except (click.Abort, KeyboardInterrupt) as error:  # click makes an Abort of Ctrl-C
        say("aborted\n", wait_s=STUCK_S)
        interrupts = (error, error.__context__)
        interrupted = any(isinstance(each, KeyboardInterrupt) for each in interrupts)
        code = INTERRUPTED if interrupted else Exit.FAILED
    except WorkerError as error:
        show(error)
        code = error.exit
    except Exception as error:
        # pydantic makes text of a Ctrl-C that comes while it builds a model
        if "KeyboardInterrupt" in str(error):
            sys.exit(INTERRUPTED)
        import traceback  # only for bugs

        report = (
            f"error [bug]\n  what:   {type(error).__name__}: {error}\n"
            "  remedy: please report it with the lines above\n"
        )
        say(traceback.format_exc() + report, wait_s=STUCK_S)
        code = Exit.BUG
    sys.exit(int(code or 0))
