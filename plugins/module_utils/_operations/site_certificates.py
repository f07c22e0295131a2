# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificates that the shop's visitors see: found in nginx's configuration, and looked at as nginx shows them.

What is served counts, not what lies in a file: one that was renewed and not loaded is as good as none.
"""

from __future__ import annotations

import glob
import os
import re
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from .._flag.nginx_config import ServerBlock, find_servers, parse_directives, serves_shop
from .._host.certificates import Certificate, as_served, in_file

# Deeper, files include each other in a circle.
_DEPTH = 8
_LARGEST = 1 << 20
# Sites that are asked; a server of hundreds of names has one certificate for many of them.
_MOST = 20
LOCAL = ("127.0.0.1", "localhost", "::1", "0.0.0.0")  # noqa: S104


def _read(path: str) -> Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read(_LARGEST)
    except OSError:
        return None


def read_configuration(path: str) -> Dict[str, str]:
    """nginx's main configuration file with all that it includes, by path; empty where there is none that can be read."""
    base = os.path.dirname(path)
    files: Dict[str, str] = {}

    def take(name: str, depth: int) -> None:
        text = _read(name) if name not in files else None
        if text is None:
            return
        files[name] = text
        for pattern in _includes(text) if depth < _DEPTH else ():
            for found in sorted(glob.glob(os.path.join(base, pattern))):
                take(found, depth + 1)

    take(path, 0)
    return files


def _includes(text: str) -> Iterator[str]:
    for top in parse_directives(text):
        for found in (top, *top.walk()):
            if found.name == "include" and found.arguments:
                yield found.arguments[0]


def names_served(files: Mapping[str, str]) -> List[str]:
    """The names of all servers that speak TLS. Pure."""
    found = [server.host for server in find_servers(files) if any(listen.tls for listen in server.listens)]
    return sorted(set(found))


def shop_servers(files: Mapping[str, str], ports: Sequence[int], root: str) -> List[ServerBlock]:
    """The servers that speak TLS and are the shop's. Pure."""
    return [
        server
        for server in find_servers(files)
        if any(listen.tls for listen in server.listens) and serves_shop(server, ports, LOCAL, root)
    ]


def _of_host(config: str, ports: Sequence[int], root: str) -> Iterator[Certificate]:
    """Of an nginx on the host: as it shows them, and of one that does not run as its files hold them."""
    for server in shop_servers(read_configuration(config), ports, root):
        listen = next((listen for listen in server.listens if listen.tls), None)
        served = as_served(listen.address, listen.port, server.host) if listen else None
        if served is not None:
            yield served
            continue
        for path in server.certificates:
            # A name with a variable is known only on a request.
            if "$" not in path:
                yield in_file(os.path.join(os.path.dirname(config), path))


def _of_containers(published: Sequence[str], root: str) -> Iterator[Certificate]:
    """Of what containers publish: by the names that the shop's own configuration of nginx has."""
    if not published:
        return
    paths = sorted(glob.glob(os.path.join(glob.escape(root), "nginx", "**", "*.conf"), recursive=True))
    names = names_served({path: text for path in paths for text in [_read(path)] if text is not None}) or [""]
    for place in published:
        address, port = _split(place)
        for name in names:
            found = as_served("127.0.0.1" if address in ("0.0.0.0", "::", "") else address, port, name)  # noqa: S104
            if found is not None:
                yield found


def _split(place: str) -> Tuple[str, int]:
    """Host and port; 443 where none is given."""
    match = re.match(r"^\[?(.*?)\]?(?::(\d+))?$", place)
    address, port = match.groups() if match else (place, None)
    return address, int(port or 443)


def _named(place: str) -> Certificate:
    """Of a place that a person has named: a file, or a server somewhere."""
    if place.startswith("/"):
        return in_file(place)
    address, port = _split(place)
    found = as_served(address, port, address)
    return found or Certificate(place, "served", problem="nothing listens there")


def look_at_certificates(options: Mapping[str, Any]) -> List[Certificate]:
    """All certificates of the shop, each once.

    Args:
        options: the suboptions of maintenance_flag_info's certificates.
    """
    found: Dict[str, Certificate] = {}
    ports = [int(port) for port in options["ports"] if port]
    sources = (
        (_named(place) for place in options["places"]),
        _of_host(options["nginx_config"], ports, options["root"]),
        _of_containers(options["published"], options["root"]),
    )
    for source in sources:
        for certificate in source:
            found.setdefault(certificate.place, certificate)
            if len(found) >= _MOST:
                return list(found.values())
    return list(found.values())
