# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small image registry on the loopback address, which an engine takes without TLS: what pulling an image needs of its API.

https://distribution.github.io/distribution/spec/api/ and https://distribution.github.io/distribution/spec/manifest-v2-2/
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.sandbox.image import Image

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_PATH = re.compile(r"^/v2/(?P<name>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)$")


class Registry:
    """A context manager. ``cut`` makes it end in the middle of each layer, ``silent`` makes it answer nothing at all."""

    def __init__(self) -> None:
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.cut = False
        self.silent = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Registry:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def push(self, name: str, image: Image) -> str:
        """Let a name, such as ``shop/api:1``, stand for an image; returns the manifest's digest."""
        document = image.document()
        layers = [b"".join(layer.pieces()) for layer in image.layers]
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": CONFIG, "size": len(document), "digest": self._blob(document)},
                "layers": [{"mediaType": LAYER, "size": len(data), "digest": self._blob(data)} for data in layers],
            }
        ).encode()
        digest = _digest(manifest)
        repository, _colon, tag = name.rpartition(":")
        self.manifests[f"{repository}/{tag}"] = self.manifests[f"{repository}/{digest}"] = manifest
        return digest

    def _blob(self, data: bytes) -> str:
        self.blobs[_digest(data)] = data
        return _digest(data)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.requests.append(f"{self.command} {self.path}")
                if registry.silent:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                found = _PATH.match(self.path)
                if self.path in ("/v2/", "/v2"):
                    self._answer(200, b"{}", "application/json")
                elif found and found["kind"] == "manifests":
                    data = registry.manifests.get(f"{found['name']}/{found['reference']}")
                    self._answer(200 if data else 404, data or _error("MANIFEST_UNKNOWN"), MANIFEST)
                elif found:
                    data = registry.blobs.get(found["reference"])
                    self._answer(200 if data else 404, data or _error("BLOB_UNKNOWN"), "application/octet-stream")
                else:
                    self._answer(404, _error("UNSUPPORTED"), "application/json")

            do_HEAD = do_GET

            def _answer(self, status: int, data: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
                self.send_header("Content-Type", kind if status == 200 else "application/json")
                self.send_header("Docker-Content-Digest", _digest(data))
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    if registry.cut and "/blobs/" in self.path:
                        self.wfile.write(data[: len(data) // 2])
                        self.close_connection = True
                        return
                    self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _error(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
