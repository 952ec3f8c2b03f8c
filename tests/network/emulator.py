"""Hosts on one machine and the network between them: rate, delay and faults on command, in user space.

    python3 tests/network/emulator.py --hosts 3 --rtt 40 --mbit 100        (root; Linux; standard library only)

Each host is a network namespace with one TUN device, 10.77.0.(i+1); nothing leaves the namespaces. This process reads
every packet, lets it wait for its turn on the sender's link (``mbit``) and half a round trip, and writes it to the
receiver's device. Devices offload segmentation: one read moves up to 64 KB, and counts as the packets of ``--mtu`` bytes
that it stands for. A sender with ``QUEUE_SECONDS`` of backlog is not read: its device's queue fills, as a real one's does.

Prints one line of JSON when all is up, then answers each line of JSON on standard input with one line (`Network.do`).
The end of its input, SIGTERM or SIGINT ends it: what runs in the namespaces is killed and they are removed. The
namespaces carry its process id and start time; those of dead emulators are removed at the next start.
"""
from __future__ import annotations

import argparse
import ctypes
import heapq
import json
import os
import select
import signal
import sys
import time
from collections import deque
from typing import Any

import namespaces
from packets import IP, Every, corrupted, on_the_wire

QUEUE_SECONDS = 0.005
READS = 32  # from one device before the others have their turn
LARGEST = 65536 + 10  # a packet and its offload header
OWN_SECONDS = 60e-6  # what a packet takes through two devices and this process anyway (measured on a quiet machine)


class Link:
    """One direction between two hosts: its delay, its faults, and what passed."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.cut = self.stalled = False
        self.held: deque[bytes] = deque()
        self.faults: dict[str, Every] = {}
        self.counts = {"packets": 0, "bytes": 0, "dropped": 0, "corrupted": 0, "reordered": 0, "lost": 0}


class Network:
    """Namespaces, devices, and the packets on their way."""

    def __init__(self, hosts: int, rtt_ms: float, mbit: float, mtu: int) -> None:
        self.n = hosts
        self.names = namespaces.own_names(hosts)
        self.addresses = [f"10.77.0.{i + 1}" for i in range(hosts)]
        self.rate = [mbit * 1e6 / 8] * hosts
        self.free = [0.0] * hosts  # when the sender's link has sent what it took
        self.links = {(i, j): Link(rtt_ms / 2e3) for i in range(hosts) for j in range(hosts) if i != j}
        self.devices: list[int] = []
        self.way: list[tuple[float, int, int, int, bytes]] = []  # due, number, from, to, packet
        self.number = 0
        self.late = [0.0, 0.0, 0]  # sum and largest of seconds behind the time due, packets
        self.mtu = mtu

    def build(self) -> None:
        for i, name in enumerate(self.names):
            namespaces.add(name)
            self.devices.append(namespaces.device(name, f"mn{os.getpid()}x{i}", self.addresses[i], self.mtu))

    def close(self) -> None:
        for device in self.devices:
            os.close(device)
        for name in self.names:
            namespaces.remove(name)

    # --- commands
    def do(self, command: dict[str, Any]) -> Any:
        """``what`` and its arguments; ``a``, ``b``: the link between two hosts, or all links of ``a``, or all;
        ``one_way``: only from a to b.

        rate (mbit; of sender a, or all), delay (ms, one way), stall, release, cut, restore, corrupt (every, at_least,
        port, times), reorder (every, ms), lose (every), heal (no more of these three), stats.
        """
        what = command.pop("what")
        a, b, one_way = command.pop("a", None), command.pop("b", None), command.pop("one_way", False)
        if what == "stats":
            return self.stats()
        if what == "rate":
            for i in range(self.n):
                if a in (None, i):
                    self.rate[i] = command["mbit"] * 1e6 / 8
            return None
        for (i, j), link in self.links.items():
            if a is None or (b is None and a in (i, j)) or (i, j) == (a, b) or ((j, i) == (a, b) and not one_way):
                self._do(what, i, j, link, command)
        return None

    def _do(self, what: str, i: int, j: int, link: Link, command: dict[str, Any]) -> None:
        if what == "delay":
            link.delay = command["ms"] / 1e3
        elif what in ("stall", "release"):
            link.stalled = what == "stall"
            while link.held and not link.stalled:
                self._send(time.monotonic(), i, j, link.held.popleft())
        elif what in ("cut", "restore"):
            link.cut = what == "cut"
        elif what in ("corrupt", "reorder", "lose"):
            link.faults[what] = Every(**command)
        elif what == "heal":
            link.faults.clear()
        else:
            raise ValueError(f"no command {what!r}")

    def stats(self) -> dict[str, Any]:
        """Seconds of processor so far, how late packets were delivered, what passed on each link."""
        total, most, packets = self.late
        late = {"mean_late_ms": 1e3 * total / max(packets, 1), "most_late_ms": 1e3 * most}
        self.late = [0.0, 0.0, 0]
        return {"cpu": time.process_time(), **late, "links": {f"{i}>{j}": x.counts for (i, j), x in self.links.items()}}

    # --- packets
    def _send(self, due: float, i: int, j: int, packet: bytes) -> None:
        self.number += 1
        heapq.heappush(self.way, (due, self.number, i, j, packet))

    def _take(self, i: int) -> None:
        """What host i has to send, as far as its link takes it."""
        for _ in range(READS):
            now = time.monotonic()
            if self.free[i] > now + QUEUE_SECONDS:
                return
            try:
                packet = os.read(self.devices[i], LARGEST)
            except BlockingIOError:
                return
            j = packet[IP + 19] - 1
            if packet[IP] >> 4 != 4 or not 0 <= j < self.n or j == i:
                continue  # no IPv4 to another host
            link, size = self.links[i, j], on_the_wire(packet)
            self.free[i] = due = max(self.free[i], now) + size / self.rate[i]
            due += max(0.0, link.delay - OWN_SECONDS)
            link.counts["packets"] += 1
            link.counts["bytes"] += size
            if link.faults:
                if "lose" in link.faults and link.faults["lose"].meets(packet):
                    link.counts["lost"] += 1
                    continue
                if "corrupt" in link.faults and link.faults["corrupt"].meets(packet):
                    link.counts["corrupted"] += 1
                    packet = corrupted(packet)
                if "reorder" in link.faults and link.faults["reorder"].meets(packet):
                    link.counts["reordered"] += 1
                    due += link.faults["reorder"].seconds
            self._send(due, i, j, packet)

    def _deliver(self) -> None:
        now = time.monotonic()
        while self.way and self.way[0][0] <= now:
            due, _, i, j, packet = heapq.heappop(self.way)
            link = self.links[i, j]
            if link.cut:
                link.counts["dropped"] += 1
                continue
            if link.stalled:
                link.held.append(packet)
                continue
            try:
                os.write(self.devices[j], packet)
            except OSError:  # its queue is full, or the device is down
                link.counts["dropped"] += 1
            self.late[0] += now - due
            self.late[1] = max(self.late[1], now - due)
            self.late[2] += 1

    def run(self) -> None:
        """Until standard input ends."""
        index = {device: i for i, device in enumerate(self.devices)}
        said = b""
        while True:
            self._deliver()
            now = time.monotonic()
            ready = [d for d, i in index.items() if self.free[i] <= now + QUEUE_SECONDS]
            times = [self.free[i] - QUEUE_SECONDS for d, i in index.items() if d not in ready]
            if self.way:
                times.append(self.way[0][0])
            wait = max(0.0, min(times) - time.monotonic()) if times else None
            found, _, _ = select.select([0, *ready], [], [], wait)
            for source in found:
                if source:
                    self._take(index[source])
                    continue
                more = os.read(0, 65536)
                if not more:
                    return
                *lines, said = (said + more).split(b"\n")
                for line in lines:
                    self._answer(line)

    def _answer(self, line: bytes) -> None:
        try:
            answer = {"ok": self.do(json.loads(line))}
        except Exception as error:  # the other side made a mistake: it is told, and the network goes on
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def exact_timers() -> None:
    """Wake when asked, not 50 us later, and before those whose packets wait for it."""
    ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)  # PR_SET_TIMERSLACK, nanoseconds
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        os.nice(-10)


def main() -> None:
    parser = argparse.ArgumentParser(description="Hosts in network namespaces, and the network between them.")
    parser.add_argument("--hosts", type=int, default=2)
    parser.add_argument("--rtt", type=float, default=40.0, help="round trip in ms")
    parser.add_argument("--mbit", type=float, default=100.0, help="of each sender's link, to all others together")
    parser.add_argument("--mtu", type=int, default=1500)
    options = parser.parse_args()
    namespaces.remove_stale()
    network = Network(options.hosts, options.rtt, options.mbit, options.mtu)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        network.build()
        exact_timers()
        print(json.dumps({"namespaces": network.names, "addresses": network.addresses}), flush=True)
        network.run()
    finally:
        network.close()


if __name__ == "__main__":
    main()
