"""The table of faults: what may happen to a worker, and what it promises then.

"Exact" means: of a source that can be asked again, nothing is lost and nothing is double in the
committed files. A test says which rows it shows, and how it injects the fault, with
`@pytest.mark.fault(7, by="a tmpfs that is full")`; a case of `tests/cases` with `faults: [49]`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        fault: what happens.
        expected: what the worker promises then.
        later: why no test shows it yet; empty where one does.
    """

    number: int
    fault: str
    expected: str
    later: str = ""


ROWS = (
    Row(1, "SIGKILL while a page is fetched", "exact"),
    Row(
        2,
        "SIGKILL in a write, and between any two system calls of a roll",
        "exact; nothing staged is left after the recovery",
    ),
    Row(3, "SIGKILL during the recovery, repeatedly", "exact; recovery comes to an end"),
    Row(4, "power loss at any system call", "exact"),
    Row(5, "a torn write in the commit log", "the last transaction is absent; exact"),
    Row(
        6,
        "the state is damaged or deleted",
        "refused with what to do; a rebuild makes it from the output",
    ),
    Row(
        7,
        "no space on the output",
        "the pipeline pauses, shows no partial file, resumes by itself when space returns; exact",
    ),
    Row(8, "no space on the state", "no commit, a pause; exact once space returns"),
    Row(9, "out of inodes or of open files", "as without space; files are closed by age of use"),
    Row(
        10,
        "fsync of a file fails with EIO",
        "the file is discarded and written anew, never synced again; the second time exit 74",
    ),
    Row(
        11,
        "fsync of a directory fails with EIO after the commit",
        "the next attempt finishes the commit by hash; exact",
    ),
    Row(12, "short writes and EINTR", "complete files"),
    Row(
        13,
        "the output is read-only or not mounted",
        "a pause; nothing is written into the empty mount point",
    ),
    Row(
        14,
        "two instances with one state",
        "the second ends with 75 at once, the first is unaffected",
    ),
    Row(
        15,
        "an instance that was suspended while another one took over",
        "its commit changes nothing, it ends with 75; exact",
    ),
    Row(
        16,
        "SIGTERM at any moment of a roll",
        "the commit is whole or absent, exit 0 within the grace; exact",
    ),
    Row(17, "a second SIGTERM, or SIGKILL after the grace", "the process ends at once; exact"),
    Row(
        18,
        "the limit of memory of a cgroup",
        "bounded queues stay below it; exact after a restart",
    ),
    Row(19, "an output that is slow or blocked", "requests stop, memory stays flat"),
    Row(
        20,
        "429 with Retry-After in seconds, as a date, as garbage, of ten years",
        "the origin pauses as told, within a limit; one request per window, no attempt is used up",
    ),
    Row(
        21,
        "503 that lasts or flaps",
        "the breaker opens and probes are few; retries are a fifth of the requests at most",
    ),
    Row(
        22,
        "a body that trickles",
        "aborted by the floor of its rate and retried; it counts as a failure",
    ),
    Row(
        23,
        "a body that is cut: gzip, chunked, by length, by the end of the connection",
        "noticed and retried; no record of that page is committed",
    ),
    Row(24, "a connection that says nothing any more", "the read timeout ends it; retried"),
    Row(
        25,
        "a name that does not resolve, or to another address",
        "retried within a cap; the new address is used",
    ),
    Row(
        26,
        "a certificate that expired, is of another host, is not trusted",
        "an error that says so, no tight loop, never without TLS",
    ),
    Row(
        27,
        "a kept connection is closed as a request is sent",
        "GET is sent again; POST only where the config calls it safe",
    ),
    Row(
        28,
        "a redirect or a next link to another origin",
        "refused, and no secret is sent there",
    ),
    Row(
        29,
        "the source refuses a cursor that was kept",
        "back to the value that was reached where records ascend, else the partition parks",
    ),
    Row(
        30,
        "tokens that repeat or go round",
        "an error within two pages of the repetition, before anything of it is committed",
    ),
    Row(31, "an empty page with a next one; pages that drift", "read on, within bounds"),
    Row(
        32,
        "a record that breaks the schema",
        "a dead letter in the same commit with its place and reason; too many stop the pipeline",
    ),
    Row(33, "dead letters cannot be written", "their commit is not made; exact afterwards"),
    Row(
        34,
        "the schema registry is down",
        "known schemas go on, an unknown id pauses and is no dead letter; exact",
    ),
    Row(
        35,
        "a schema changes",
        "incompatible: refused with reasons; compatible: new files, none of two schemas",
    ),
    Row(
        36,
        "the clock jumps by an hour",
        "timers, breakers and the order of names take no notice",
    ),
    Row(
        37,
        "the process restarts in a loop",
        "progress is kept, requests are no more, backoff goes on",
    ),
    Row(
        38,
        "the config changes under a live state",
        "refused by the keys that changed, or adopted as documented",
    ),
    Row(
        39,
        "consumers move or delete published files",
        "fine once the commit is marked, or with `files_are_taken`; else refused with the way out",
    ),
    Row(
        40,
        "a source without ids drops its connection",
        "each reconnect counts as a possible gap; the level is at_most_once",
        later="sources that stream do not exist yet",
    ),
    Row(
        41,
        "deep Avro, bombs, giant JSON",
        "a dead letter or an error of the page; the process survives within its memory",
    ),
    Row(
        42,
        "something blocks the event loop for more than a second",
        "a warning and a gauge that name it; liveness does not kill a process that commits",
    ),
    Row(
        43,
        "whoever reads the log is stuck or gone",
        "pipelines go on, and lines that were dropped are counted",
    ),
    Row(
        44,
        "all at random for a long time",
        "what lands is what the source has; descriptors, threads and memory do not grow",
    ),
    Row(
        45,
        "a cleaner deletes staged files, before or after the COMMIT",
        "never taken for published without proof; named; exact",
    ),
    Row(
        46,
        "the path of an output changes between COMMIT and publishing",
        "finished at the old output, or refused",
    ),
    Row(
        47,
        "an older copy of the state is restored, or a copy runs beside it",
        "refused with 78 and rebuilt from the output; the second owner is fenced",
    ),
    Row(48, "the clock is ahead or behind for one pass, ours or the source's", "exact"),
    Row(
        49,
        "the source ignores or clamps the bound, the page number, the offset",
        "named before the commit; nothing double",
    ),
    Row(
        50,
        "the key of the config is wrong, null, absent",
        "the bytes are the identity, or `key_missing`; nothing is dropped",
    ),
    Row(
        51,
        "a total changes or is wrong; records come and go while pages are read",
        "never stuck, and completeness says what was shown",
    ),
    Row(
        52,
        "202, 206, an empty page behind a full one, null records without a token",
        "not taken for the end; a last page of HAL is",
    ),
    Row(
        53,
        "one partition sends a huge token, hangs, or has a broken schema",
        "it parks alone; the others take at most 1.3 times as long",
    ),
    Row(
        54,
        "a python step hangs; SIGTERM as PID 1 in the first moment; a second signal",
        "the stage is named; the second signal ends the process at once",
    ),
    Row(
        55,
        "300 half-open connections to the admin port at 128 descriptors",
        "pipelines are unaffected",
    ),
    Row(
        56,
        "five restarts in a minute with `every: 1h`; the source is down at the start",
        "one pass; the backoff is kept",
    ),
    Row(
        57,
        "100,000 commits, 50 pipelines",
        "the log is pruned; a start takes at most 1.5 times that of an empty state",
    ),
    Row(
        58,
        "pages far above the limit of memory",
        "the partition parks with a clear error; the process is not killed for ever",
    ),
    Row(
        59,
        "values of a route such as `.x`, `_x`, `.worker`",
        "visible in every listing, and never in the way of a start",
    ),
    Row(
        60,
        "a file system without rename-noreplace and without hard links",
        "refused before the first COMMIT",
    ),
    Row(
        61,
        "SIGKILL between mkdir and the fsync of its parent, then power loss",
        "a directory is durable before a name in it counts",
    ),
)
