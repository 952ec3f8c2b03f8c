"""One party of a run between machines: this process runs the script, and says how it ended."""
from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from mpc.config import Launch, announce
from mpc.errors import ConfigError
from mpc.failures import explain
from mpc.launch import checked_script, show_reports
from mpc.parties import child
from mpc.pipes import PACKAGE, Result, Task
from mpc.supervision.child import Child


def run_member(
    launch: Launch, script: str, argv: Sequence[str] = (), report: bool = False, page: str | None = None
) -> int:
    """`mpc run --config`: the script as that party, its messages on stderr; the exit code (`mpc.failures`).

    Raises ConfigError for what cannot be run.
    """
    if launch.is_dealer:
        raise ConfigError("the dealer runs no script: start it with `mpc dealer --config`")
    checked_script(script, page)
    announce(launch)
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    sys.argv = [script, *argv]
    message = child.outcome_of(Task("", PACKAGE, script=script, argv=sys.argv, report=report or page is not None))
    if isinstance(message, Result):
        show_reports([message.reports], script, page)
        return 0
    if message.kind == "KeyboardInterrupt":
        print("mpc: interrupted; the other parties were told", file=sys.stderr)
        return 130
    me = Child(launch.rank, launch.config.name(launch.rank), -1, message=message, failed=time.monotonic())
    return explain(me, launch.config)
