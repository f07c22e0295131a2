# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network bridges and unused subnets, straight from the kernel: a bare machine may lack the ip command."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
import struct
from pathlib import Path

_SIOCGIFADDR = 0x8915
_SIOCSIFADDR = 0x8916
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_SIOCSIFNETMASK = 0x891C
_SIOCBRADDBR = 0x89A0
_SIOCBRDELBR = 0x89A1
_IFF_UP = 0x1

# Engines take blocks of sixteen /24 networks out of this range, far from the usual defaults of Docker and of homes.
RANGE = ipaddress.ip_network("10.192.0.0/11")
BLOCK_PREFIX = 20


def _ioctl(request: int, payload: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        return fcntl.ioctl(handle, request, payload)


def _with_address(name: str, address: str) -> bytes:
    return struct.pack("16sH2s4s8x", name.encode(), socket.AF_INET, b"\0\0", socket.inet_aton(address))


def create(name: str, address: str, prefix: int) -> None:
    """Make a bridge with an IPv4 address and bring it up; OSError when the kernel refuses."""
    _ioctl(_SIOCBRADDBR, struct.pack("16s", name.encode()))
    _ioctl(_SIOCSIFADDR, _with_address(name, address))
    netmask = str(ipaddress.ip_network(f"0.0.0.0/{prefix}").netmask)
    _ioctl(_SIOCSIFNETMASK, _with_address(name, netmask))
    _set_up(name, True)


def delete(name: str) -> None:
    """Remove a bridge; nothing happens when there is none of that name."""
    if not Path(f"/sys/class/net/{name}/bridge").is_dir():
        return
    _set_up(name, False)
    _ioctl(_SIOCBRDELBR, struct.pack("16s", name.encode()))


def _set_up(name: str, up: bool) -> None:
    packed = struct.pack("16sH14x", name.encode(), 0)
    flags = struct.unpack("16sH14x", _ioctl(_SIOCGIFFLAGS, packed))[1]
    flags = flags | _IFF_UP if up else flags & ~_IFF_UP
    _ioctl(_SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), flags))


def address_of(name: str) -> str | None:
    """Return an interface's IPv4 address, None when it has none."""
    try:
        return socket.inet_ntoa(_ioctl(_SIOCGIFADDR, struct.pack("16sH14x", name.encode(), socket.AF_INET))[20:24])
    except OSError:
        return None


def set_note(name: str, text: str) -> None:
    """Keep a line of text with a bridge; the kernel holds up to 255 bytes."""
    Path(f"/sys/class/net/{name}/ifalias").write_bytes(text.encode()[:255])


def note(name: str) -> str:
    """Return the text kept with a bridge, empty when there is none."""
    try:
        return Path(f"/sys/class/net/{name}/ifalias").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def bridges_within(network: str) -> list[str]:
    """Return the names of all bridges whose address lies in a network."""
    wanted = ipaddress.ip_network(network)
    found = []
    for name in sorted(os.listdir("/sys/class/net")):
        if Path(f"/sys/class/net/{name}/bridge").is_dir():
            address = address_of(name)
            if address is not None and ipaddress.ip_address(address) in wanted:
                found.append(name)
    return found


def taken(route_table: str = "/proc/net/route") -> list[ipaddress.IPv4Network]:
    """Return the networks that the machine has routes to, the default route left out."""
    networks = []
    with open(route_table, encoding="ascii") as lines:
        next(lines, None)
        for line in lines:
            fields = line.split()
            destination = socket.inet_ntoa(struct.pack("<I", int(fields[1], 16)))
            mask = socket.inet_ntoa(struct.pack("<I", int(fields[7], 16)))
            if mask != "0.0.0.0":
                networks.append(ipaddress.IPv4Network(f"{destination}/{mask}", strict=False))
    return networks


def free_block(
    seed: int, in_use: list[ipaddress.IPv4Network] | None = None, prefer: str | None = None
) -> ipaddress.IPv4Network:
    """Return a block of addresses that no route of the machine touches.

    seed: spreads engines over the range, so that two which start together hardly look at the same block.
    prefer: the block that an engine had before; its networks remember their addresses.
    Raises OSError when the whole range is taken.
    """
    in_use = taken() if in_use is None else in_use
    blocks = [ipaddress.IPv4Network(str(block)) for block in RANGE.subnets(new_prefix=BLOCK_PREFIX)]
    start = seed % len(blocks)
    candidates = ([ipaddress.IPv4Network(prefer)] if prefer else []) + blocks[start:] + blocks[:start]
    for block in candidates:
        if not any(block.overlaps(network) for network in in_use):
            return block
    raise OSError(f"every block of {RANGE} is in use")
