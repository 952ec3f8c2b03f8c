"""Network namespaces by `ip netns`, each with one TUN device that the caller reads and writes. For `emulator`."""
from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess

PREFIX = "mpcnet"
QUEUE_PACKETS = 1000  # of each device: Linux's usual length
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
OFFLOAD = 1 | 2  # checksums and TCPv4 segmentation


def ip(*words: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def started(pid: int) -> str:
    """When that process started, in clock ticks since boot; '' if there is none or it has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
            return "" if fields[0] in "ZX" else fields[19]
    except OSError:
        return ""


def remove(namespace: str) -> None:
    """End what runs in it, and remove it."""
    for pid in ip("netns", "pids", namespace, check=False).split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue
    ip("netns", "del", namespace, check=False)


def remove_stale() -> None:
    """Namespaces of emulators that were killed."""
    for line in ip("netns", "list", check=False).splitlines():
        name = line.split()[0] if line.split() else ""
        parts = name.split("-")
        if len(parts) == 4 and parts[0] == PREFIX and started(int(parts[1])) != parts[2]:
            remove(name)


def own_names(count: int) -> list[str]:
    """Names that say which process made them."""
    return [f"{PREFIX}-{os.getpid()}-{started(os.getpid())}-{i}" for i in range(count)]


def add(name: str) -> None:
    ip("netns", "add", name)


def device(namespace: str, passing: str, address: str, mtu: int) -> int:
    """The descriptor of a new device tun0 there, named ``passing`` on its way."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", passing.encode(), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(fd, TUNSETOFFLOAD, OFFLOAD)
    ip("link", "set", passing, "netns", namespace)
    ip("-n", namespace, "link", "set", passing, "name", "tun0", "mtu", str(mtu), "txqueuelen", str(QUEUE_PACKETS))
    ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "tun0")
    ip("-n", namespace, "link", "set", "lo", "up")
    ip("-n", namespace, "link", "set", "tun0", "up")
    return fd
