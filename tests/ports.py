"""Ports of this machine for tests: below those that the system hands out by itself, and of each test worker its own."""
from __future__ import annotations

import os
import socket

FIRST, EACH, WORKERS = 20_000, 1_500, 8  # up to 32,000; the system's begin at 32,768
_WORKER = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", "0"))) or 0) % WORKERS
_next = os.getpid() % EACH


def free_ports(number: int) -> list[int]:
    """Consecutive ports that nobody listens at, no other worker takes, and no call before got (to be bound later)."""
    global _next
    while True:
        first = _next if _next + number <= EACH else 0
        _next = first + number
        start = FIRST + EACH * _WORKER + first
        ports = list(range(start, start + number))
        if all(map(_is_free, ports)):
            return ports


def _is_free(port: int) -> bool:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
