# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A native shop: processes of the host and a mongod of its own."""

from __future__ import annotations

import os
from typing import Any, Dict, Optional

from .._core import processes
from .._host import shop
from .._host.mongo_uri import host_text
from .host_reader import FRONTEND_PORTS, HostReader, directory_place, port_of, usable


def native_parts(reader: HostReader) -> Dict[str, Any]:
    found = shop.ports_of(reader.api, reader.processes, reader.sockets)
    port, why = shop.api_port(reader.environment.values, found)
    address = next((item.address for item in found if item.port == port), "")
    cwd = reader.api.cwd if reader.api and reader.api.cwd else os.path.join(reader.root, "backend")
    reach = shop.native_mongo(reader.uri, reader.mongods, reader.sockets)
    reader.warnings.extend(reach.warnings)
    frontend = _native_frontend(reader)
    return {
        "api": {"pid": reader.api.pid if reader.api else None, "cwd": cwd, "port_why": why},
        "api_url": "http://" + host_text(usable(address), port),
        "frontend_url": "http://" + host_text(usable(frontend.address), frontend.port) if frontend else "",
        "ports": {"api": port, "frontend": frontend.port if frontend else 0, "mongo": port_of(reach.address)},
        # systemd waits for 90 s, and pm2 starts no mongod: nothing kills it before it has stopped.
        "mongo": dict(reader.mongo_values(reach), set_members=[], stop_problem=""),
        "storage": {
            name: directory_place(os.path.normpath(os.path.join(cwd, directory)))
            for name, directory in reader.storage_directories().items()
        },
    }


def _native_frontend(reader: HostReader) -> Optional[processes.Socket]:
    directory = os.path.join(reader.real_root, "frontend")
    pids = {item.pid for item in reader.processes if item.cwd == directory and not item.contained}
    found = [item for item in reader.sockets if item.pid in pids]
    if not found:
        # nginx serves the built files: its ports are those of a web server.
        web = {item.pid for item in reader.processes if item.name in ("nginx", "caddy") and not item.contained}
        found = [item for item in reader.sockets if item.pid in web and item.port in FRONTEND_PORTS]
    return min(found, key=lambda item: item.port) if found else None
