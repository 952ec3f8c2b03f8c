"""Test hosts: network namespaces joined by the emulator beside this file, for as long as a `with` block lasts."""
from __future__ import annotations

import ctypes
import functools
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

EMULATOR = Path(__file__).with_name("emulator.py")
START_SECONDS = 20.0
CLONE_NEWNET = 0x40000000


@functools.cache
def why_not() -> str | None:
    """What this machine lacks for network namespaces; None where it has all."""
    if not sys.platform.startswith("linux"):
        return f"needs root and ip netns: this is {sys.platform}"
    if os.geteuid() != 0:
        return f"needs root and ip netns: this is user {os.geteuid()}"
    if shutil.which("ip") is None:
        return "needs root and ip netns: there is no `ip` here (Debian: apt-get install iproute2)"
    if not os.path.exists("/dev/net/tun"):
        return "needs root and ip netns: there is no /dev/net/tun here"
    try:
        with Hosts(1):
            return None
    except OSError as error:
        return f"needs root and ip netns: {error}"


class Hosts:
    """``n`` hosts with addresses `addresses`, a round trip of ``rtt_ms`` apart; each sends at most ``mbit``.

    The methods with ``a`` and ``b`` act on the link between two hosts (``one_way``: from a to b only), on all links of
    host ``a``, or on all. Raises OSError where namespaces or devices cannot be made (`why_not` says why not).
    """

    def __init__(self, n: int, rtt_ms: float = 0.2, mbit: float = 1000.0, mtu: int = 1500) -> None:
        self._command = [sys.executable, str(EMULATOR), "--hosts", str(n), "--rtt", str(rtt_ms), "--mbit", str(mbit)]
        self._command += ["--mtu", str(mtu)]
        self.namespaces: list[str] = []
        self.addresses: list[str] = []
        self._processes: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> Hosts:
        pipe = subprocess.PIPE
        self._emulator = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        try:
            about = self._read()
        except BaseException:
            self._end()
            raise
        self.namespaces, self.addresses = about["namespaces"], about["addresses"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for process in self._processes:  # the emulator would end them too, but they are this process's children
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        self._emulator.communicate()  # ends its input, and so itself

    @property
    def pid(self) -> int:
        """The emulator's."""
        return self._emulator.pid

    def _read(self) -> Any:
        output = self._emulator.stdout
        assert output is not None
        line = output.readline() if select.select([output], [], [], START_SECONDS)[0] else ""
        if not line:
            self._emulator.kill()
            said = self._emulator.communicate()[1].strip().splitlines()
            raise OSError(f"the emulator ended: {said[-1] if said else 'it said nothing'}")
        return json.loads(line)

    def _do(self, what: str, a: int | None = None, b: int | None = None, one_way: bool = False, **more: Any) -> Any:
        assert self._emulator.stdin is not None
        self._emulator.stdin.write(json.dumps({"what": what, "a": a, "b": b, "one_way": one_way, **more}) + "\n")
        self._emulator.stdin.flush()
        answer = self._read()
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["ok"]

    # --- processes
    def command(self, host: int, *words: str) -> list[str]:
        """The command that runs these words on that host."""
        return ["ip", "netns", "exec", self.namespaces[host], *words]

    def popen(self, host: int, *words: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a process on that host (its pid is the program's own); it ends with the block at the latest."""
        process = subprocess.Popen(self.command(host, *words), **options)
        self._processes.append(process)
        return process

    def run(self, host: int, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command on that host to its end; its output as text."""
        return subprocess.run(self.command(host, *words), capture_output=True, text=True, check=False, **options)

    def socket(self, host: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """A socket of this process on that host: a thread enters the namespace to make it."""
        made: list[socket.socket] = []

        def make() -> None:
            with open(f"/run/netns/{self.namespaces[host]}") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.socket(socket.AF_INET, kind))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]

    def connection(self, a: int, b: int, port: int = 7000) -> tuple[socket.socket, socket.socket]:
        """Both ends of a TCP connection from host a to host b."""
        with self.socket(b) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((self.addresses[b], port))
            listening.listen()
            near = self.socket(a)
            near.connect((self.addresses[b], port))
            far, _ = listening.accept()
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(10)
        return near, far

    # --- the network
    def rate(self, mbit: float, host: int | None = None) -> None:
        """What that host (or each) can send."""
        self._do("rate", host, mbit=mbit)

    def delay(self, ms: float, a: int | None = None, b: int | None = None, one_way: bool = False) -> None:
        """Milliseconds one way."""
        self._do("delay", a, b, one_way, ms=ms)

    def stall(self, a: int | None = None, b: int | None = None, one_way: bool = False) -> None:
        """Hold what arrives, until `release`."""
        self._do("stall", a, b, one_way)

    def release(self, a: int | None = None, b: int | None = None, one_way: bool = False) -> None:
        """Deliver what `stall` held, and go on."""
        self._do("release", a, b, one_way)

    def cut(self, a: int | None = None, b: int | None = None, one_way: bool = False) -> None:
        """Drop everything, until `restore`."""
        self._do("cut", a, b, one_way)

    def restore(self, a: int | None = None, b: int | None = None, one_way: bool = False) -> None:
        self._do("restore", a, b, one_way)

    def corrupt(
        self, every: int = 1, a: int | None = None, b: int | None = None, one_way: bool = False, at_least: int = 1,
        port: int = 0, times: int = 0,
    ) -> None:
        """Flip a bit in every ``every``-th packet with ``at_least`` bytes of TCP payload, from or to ``port`` where that is
        given; TCP's checksum fits again. ``times``: at most so often, on each link."""
        self._do("corrupt", a, b, one_way, every=every, at_least=at_least, port=port, times=times)

    def reorder(self, every: int, ms: float, a: int | None = None, b: int | None = None) -> None:
        """Let every ``every``-th packet with TCP payload arrive ``ms`` later, behind those that follow it."""
        self._do("reorder", a, b, every=every, ms=ms)

    def lose(self, every: int, a: int | None = None, b: int | None = None) -> None:
        """Drop every ``every``-th packet with TCP payload."""
        self._do("lose", a, b, every=every)

    def heal(self, a: int | None = None, b: int | None = None) -> None:
        """No more of `corrupt`, `reorder` and `lose`."""
        self._do("heal", a, b)

    def stats(self) -> dict[str, Any]:
        """"cpu": the emulator's seconds so far; "mean_late_ms", "most_late_ms": behind the time due, since the last call;
        "links": by "from>to", what passed and what was done to it."""
        found: dict[str, Any] = self._do("stats")
        return found
