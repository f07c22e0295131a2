# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What containers publish, and how this host reaches what they do not publish. Pure."""

from __future__ import annotations

from typing import Any, Iterable, List, Mapping, Optional, Tuple

from .._core.late_dataclass import dataclass

_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, nothing is bound here


@dataclass(frozen=True)
class Published:
    """One published port.

    Attributes:
        address: of the host; 0.0.0.0 and :: are every interface.
        port: of the host; private_port: inside the container.
        container: its name.
    """

    address: str
    port: int
    private_port: int
    proto: str
    container: str

    @property
    def everywhere(self) -> bool:
        return self.address in _ANY

    @property
    def loopback(self) -> bool:
        return self.address.startswith("127.") or self.address == "::1"


def container_name(container: Mapping[str, Any]) -> str:
    """A container's own name. Links give it further ones, with another container's name before a slash."""
    names = [str(name).lstrip("/") for name in container.get("Names") or []]
    own = [name for name in names if "/" not in name]
    return (own or names or [str(container.get("Id", ""))[:12]])[0]


def published(containers: Iterable[Mapping[str, Any]]) -> List[Published]:
    """The published ports of containers, as the engine lists them (GET /containers/json)."""
    found = {
        Published(
            str(port.get("IP") or "0.0.0.0"),  # noqa: S104 - what the engine means by no address
            int(port["PublicPort"]),
            int(port.get("PrivatePort") or 0),
            str(port.get("Type") or "tcp"),
            container_name(container),
        )
        for container in containers
        for port in container.get("Ports") or []
        if port.get("PublicPort")
    }
    return sorted(found, key=lambda item: (item.port, item.proto, item.address, item.container))


def private_ports(container: Mapping[str, Any], proto: str = "tcp") -> List[int]:
    """The ports that a container exposes or publishes."""
    return sorted(
        {
            int(port["PrivatePort"])
            for port in container.get("Ports") or []
            if port.get("PrivatePort") and (port.get("Type") or "tcp") == proto
        }
    )


def addresses(container: Mapping[str, Any]) -> List[str]:
    """A running container's addresses in its networks; the host reaches them through its bridges."""
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    return [
        str(network["IPAddress"]) for _name, network in sorted(networks.items()) if (network or {}).get("IPAddress")
    ]


def reach(container: Mapping[str, Any], private_port: int) -> Optional[Tuple[str, int, str]]:
    """Address and port at which this host reaches a container's port, and why; None when it cannot.

    The published port comes first: it is right also where the engine's networks lie in a machine of their own.
    """
    candidates = [item for item in published([container]) if item.private_port == private_port and item.proto == "tcp"]
    # Loopback and IPv4 first: an address of one interface may be filtered for the host itself.
    for item in sorted(candidates, key=lambda item: (not item.loopback, ":" in item.address, not item.everywhere)):
        host = {"::": "::1"}.get(item.address, item.address)
        return (
            ("127.0.0.1" if item.everywhere and host != "::1" else host),
            item.port,
            "published by %s" % item.container,
        )
    host_config = container.get("HostConfig") or {}
    if host_config.get("NetworkMode") == "host":
        return "127.0.0.1", private_port, "%s uses the host's network" % container_name(container)
    for address in addresses(container):
        return address, private_port, "the address of %s in its network" % container_name(container)
    return None
