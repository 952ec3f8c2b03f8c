"""Packets as TUN devices with offload give them: what they weigh, and faults in them. For `emulator`."""
from __future__ import annotations

import struct

HEADER = struct.Struct("<BBHHHH")  # virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
IP = HEADER.size  # where the IP packet starts
NEEDS_CSUM = 1  # the checksum is left open: whoever receives the packet takes its payload as it is
TCP = 6


class Every:
    """Which packets a fault meets: every ``every``-th that has ``at_least`` bytes of TCP payload and this port."""

    def __init__(self, every: int, at_least: int = 1, port: int = 0, ms: float = 0.0, times: int = 0) -> None:
        self.every, self.at_least, self.port, self.seconds, self.left = every, at_least, port, ms / 1e3, times or -1
        self.seen = 0

    def meets(self, packet: bytes) -> bool:
        if not self.left or packet[IP + 9] != TCP:
            return False
        at = IP + 4 * (packet[IP] & 15)
        if len(packet) - at - 4 * (packet[at + 12] >> 4) < self.at_least:
            return False
        if self.port and self.port not in struct.unpack_from(">HH", packet, at):
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.left -= 1
        return True


def corrupted(packet: bytes) -> bytes:
    """One bit in the middle of the TCP payload flipped, the TCP checksum corrected: no kernel notices."""
    tcp = IP + 4 * (packet[IP] & 15)
    payload = tcp + 4 * (packet[tcp + 12] >> 4)
    at = (payload + len(packet)) // 2
    changed = bytearray(packet)
    changed[at] ^= 0x10
    if not packet[0] & NEEDS_CSUM:  # RFC 1624: HC' = ~(~HC + ~m + m')
        shift = 0 if (at - tcp) % 2 else 8
        old, new = packet[at] << shift, changed[at] << shift
        (checksum,) = struct.unpack_from(">H", packet, tcp + 16)
        total = (~checksum & 0xFFFF) + (~old & 0xFFFF) + new
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        struct.pack_into(">H", changed, tcp + 16, ~total & 0xFFFF)
    return bytes(changed)


def on_the_wire(packet: bytes) -> int:
    """Bytes of the IP packets that a segmented one becomes."""
    _, kind, headers, size, _, _ = HEADER.unpack_from(packet)
    whole = len(packet) - IP
    return whole if not kind else whole + headers * (-(-(whole - headers) // size) - 1)
