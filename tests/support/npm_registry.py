# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small npm registry on the loopback address: what npm needs of its API to resolve, fetch and audit packages.

https://github.com/npm/registry/blob/main/docs/REGISTRY-API.md
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class NpmRegistry(ThreadingHTTPServer):
    """A context manager. `status` other than 200 refuses audits; `advisories` is what is known, by package."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.advisories: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []
        self.packages: dict[str, dict[str, dict[str, Any]]] = {}
        self.tarballs: dict[str, bytes] = {}
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> NpmRegistry:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def publish(self, name: str, version: str, files: Mapping[str, str] | None = None, **manifest: Any) -> None:
        """Offer a version of a package.

        Args:
            files: what it holds beside its package.json.
            manifest: what that says beside its name and version.
        """
        about = {"name": name, "version": version, **manifest}
        data = _tarball({"package.json": json.dumps(about), **(files or {})})
        place = f"{name}/-/{name}-{version}.tgz"
        self.tarballs["/" + place] = data
        digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
        dist = {"tarball": self.address + place, "integrity": f"sha512-{digest}"}
        if "install" in manifest.get("scripts", {}) or "postinstall" in manifest.get("scripts", {}):
            about["hasInstallScript"] = True
        self.packages.setdefault(name, {})[version] = {**about, "dist": dist}

    def lock_entry(self, name: str, version: str, **more: Any) -> dict[str, Any]:
        """What a lock file says of a version."""
        about = self.packages[name][version]
        entry = {"version": version, "resolved": about["dist"]["tarball"], "integrity": about["dist"]["integrity"]}
        kept = {key: about[key] for key in ("dependencies", "hasInstallScript") if key in about}
        return {**entry, **kept, **more}


class _Handler(BaseHTTPRequestHandler):
    server: NpmRegistry

    def log_message(self, *arguments: Any) -> None:
        pass

    def _answer(self, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path in self.server.tarballs:
            return self._answer(200, self.server.tarballs[self.path])
        name = self.path.strip("/")
        versions = self.server.packages.get(name)
        if versions is None:
            return self._answer(404, {"error": "not found"})
        return self._answer(200, {"name": name, "dist-tags": {"latest": list(versions)[-1]}, "versions": versions})

    def do_POST(self) -> None:
        self.server.asked.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.server.status != 200 or not self.path.endswith("/advisories/bulk"):
            status = self.server.status if self.server.status != 200 else 404
            return self._answer(status, {"message": f"{status} refused"})
        asked = json.loads(body)
        return self._answer(200, {name: found for name, found in self.server.advisories.items() if name in asked})


def _tarball(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size, entry.mode = len(text.encode()), 0o755 if text.startswith("#!") else 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()
