# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the shop's API: what the outside sees of it, on real data in a real MongoDB.

One file for both deployments; it needs the standard library and pymongo. Natively it lies in the shop's directory as
``backend/src/server.py`` and runs with ``backend`` as its working directory, by which it can be told to be the shop's
API, as the Node process of a real installation can. In an image that directory is ``/app``.

Configuration comes from the environment, then from ``.env`` in the working directory or above it, as the shop's does:
MONGODB_URI (wins) or MONGO_URI, PORT (3001), HOST (all addresses). STANDIN_VISITORS=local, which the shop does not know, turns
away whoever comes from another machine.
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import sys
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, Optional, Tuple
from urllib.parse import urlsplit

import pymongo
from pymongo.errors import PyMongoError

# How long the application waits for a database that is down before it answers.
DATABASE_TIMEOUT_MS = 10_000
DEFAULT_PORT = 3001
DEFAULT_DATABASE = "miniecom"

_ASSIGNMENT = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(?P<key>[\w.-]+)[ \t]*=[ \t]*"
    r"(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|`(?P<back>[^`]*)`|(?P<bare>[^#\r\n]*))?[ \t]*(?:#.*)?\r?$",
    re.MULTILINE,
)


def read_env(path: str) -> Dict[str, str]:
    """Values of a ``.env`` file, later ones win; nothing when there is no file."""
    try:
        with open(path, encoding="utf-8", newline="") as handle:
            text = handle.read()
    except OSError:
        return {}
    values = {}
    for match in _ASSIGNMENT.finditer(text):
        if match["double"] is not None:
            value = match["double"].replace("\\n", "\n")
        else:
            value = next((match[name] for name in ("single", "back") if match[name] is not None), None)
            if value is None:
                value = (match["bare"] or "").strip()
        values[match["key"]] = value
    return values


def configuration() -> Dict[str, str]:
    values = read_env(os.path.join("..", ".env"))
    values.update(read_env(".env"))
    values.update(os.environ)
    return values


class Shop:
    """The database behind the API."""

    def __init__(self, uri: str) -> None:
        self._client: Any = pymongo.MongoClient(
            uri,
            serverSelectionTimeoutMS=DATABASE_TIMEOUT_MS,
            connectTimeoutMS=DATABASE_TIMEOUT_MS,
            socketTimeoutMS=DATABASE_TIMEOUT_MS,
            retryReads=False,
            tz_aware=True,
        )
        self._database = self._client.get_default_database(DEFAULT_DATABASE)

    def site_setting(self) -> Tuple[bool, Optional[Dict[str, Any]]]:
        """Whether the database answered, and its document of the site's settings."""
        for last in (False, True):
            try:
                return True, self._database.settings.find_one({"key": "site"})
            except pymongo.errors.ServerSelectionTimeoutError:
                return False, None
            except pymongo.errors.ConnectionFailure:
                # A connection of the pool broke, which takes no time; wait for the server like a new one.
                if last:
                    return False, None
            except PyMongoError:
                return False, None
        return False, None

    def products(self) -> list:
        found = self._database.products.find({}, {"name": 1, "price": 1}).limit(20)
        return [{"id": str(one["_id"]), "name": one.get("name"), "price": one.get("price")} for one in found]


def maintenance(setting: Optional[Dict[str, Any]], client: str) -> Optional[str]:
    """The message to answer with, or None when this client is served.

    It fails open: whatever is not exactly as expected means that the shop is open. What counts as enabled is what
    JavaScript takes for true, so the text "false" closes the shop.
    """
    if not setting or setting.get("type") != "json" or not isinstance(setting.get("value"), str):
        return None
    try:
        block = json.loads(setting["value"]).get("maintenance")
    except (ValueError, AttributeError):
        return None
    if not isinstance(block, dict):
        return None
    enabled = block.get("enabled")
    if enabled is None or enabled is False or enabled == 0 or enabled == "":
        return None
    allowed = block.get("whitelistIps")
    if isinstance(allowed, list) and client in allowed:
        return None
    message = block.get("message")
    return message if isinstance(message, str) and message else "We are under maintenance"


class Handler(BaseHTTPRequestHandler):
    shop: Shop

    def _answer(self) -> None:
        # Maintenance comes before everything else, health and payment webhooks included.
        connected, setting = self.shop.site_setting()
        message = maintenance(setting, self.client_address[0])
        if message is not None:
            body = {"ok": False, "error": "Service Unavailable", "message": message, "maintenance": True}
            return self._send(503, body)
        path = urlsplit(self.path).path.rstrip("/")
        if path == "/api/health" and self.command in ("GET", "HEAD"):
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            return self._send(200, {"status": "ok", "mongoConnected": connected, "timestamp": now})
        if path == "/api/products" and self.command in ("GET", "HEAD"):
            try:
                return self._send(200, {"ok": True, "products": self.shop.products()})
            except PyMongoError:
                return self._send(500, {"ok": False, "error": "Internal Server Error"})
        if path == "/api" or path.startswith("/api/"):
            return self._send(401, {"ok": False, "error": "Unauthorized"})
        return self._send(404, {"ok": False, "error": "Not Found"})

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer

    def _send(self, status: int, body: Dict[str, Any]) -> None:
        # A request's body is read before the answer, else the client sees its connection reset.
        self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 1 << 20))
        data = json.dumps(body, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        # As the shop's: to standard output, into no file.
        sys.stdout.write("%s %s\n" % (datetime.now(timezone.utc).isoformat(timespec="seconds"), format % arguments))
        sys.stdout.flush()


class PlainServer(ThreadingHTTPServer):
    """Where the machine has no IPv6."""

    daemon_threads = True
    request_queue_size = 64
    local_only = False

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return not self.local_only or is_local(str(client_address[0]))


class Server(PlainServer):
    """As Node does it, one socket for both protocols: a visitor of 192.0.2.1 is seen as ::ffff:192.0.2.1."""

    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def is_local(address: str) -> bool:
    """Whether a visitor is on this machine, by either spelling of his address."""
    return address == "::1" or address.replace("::ffff:", "", 1).startswith("127.")


def serve_on(host: str, port: int) -> PlainServer:
    """The server on an IPv4 address, or on all addresses with an empty one."""
    try:
        return Server(("::ffff:" + host if host else "::", port), Handler)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        return PlainServer((host or "0.0.0.0", port), Handler)


def main() -> None:
    values = configuration()
    uri = values.get("MONGODB_URI") or values.get("MONGO_URI") or "mongodb://localhost:27017/%s" % DEFAULT_DATABASE
    Handler.shop = Shop(uri)
    server = serve_on(values.get("HOST") or "", int(values.get("PORT") or DEFAULT_PORT))
    server.local_only = values.get("STANDIN_VISITORS") == "local"
    # As process 1 of a container only signals with a handler arrive. shutdown() waits for the loop in this thread.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    host, port = server.server_address[:2]
    print("API listening on %s:%d" % (str(host), port), flush=True)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
