"""How a demo ends: its exit code, and a line where it did not end by itself."""
from __future__ import annotations

import sys
from collections.abc import Callable

from mpc.errors import MPCError
from mpc.failures import exit_code


def ended(run: Callable[[], None]) -> int:
    """Run it; 0, or what `mpc run` would end with."""
    try:
        run()
    except KeyboardInterrupt:
        print("mpc: interrupted; all parties ended", file=sys.stderr)
        return 130
    except MPCError as error:
        print(f"mpc: {error}", file=sys.stderr)
        return exit_code(error)
    return 0
