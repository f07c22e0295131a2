# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the shop's frontend: one page at every path, as a single-page application has it.

Standard library only. ``/health`` is static text, as of the shop's nginx: it says nothing about the API.
FRONTEND_PORT (8080) and HOST (all addresses) come from the environment, then from ``.env`` above the working directory,
which is the shop's ``frontend`` directory.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Handmade Harmony</title></head>
<body><div id="root"><h1>Handmade Harmony</h1><p>Gifts made by hand.</p></div></body></html>
"""


def setting(name: str, default: str) -> str:
    found = os.environ.get(name, "")
    if not found:
        try:
            with open(os.path.join("..", ".env"), encoding="utf-8") as handle:
                lines = re.findall(r"^[ \t]*(?:export[ \t]+)?%s=[\"']?([\w.:-]*)" % name, handle.read(), re.MULTILINE)
            found = lines[-1] if lines else ""
        except OSError:
            pass
    return found or default


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        health = urlsplit(self.path).path == "/health"
        data = b"healthy\n" if health else PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain" if health else "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_HEAD = do_GET

    def log_message(self, format: str, *arguments: Any) -> None:
        print(format % arguments, flush=True)


def main() -> None:
    address = (setting("HOST", "0.0.0.0"), int(setting("FRONTEND_PORT", "8080")))
    server = ThreadingHTTPServer(address, Handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print("frontend listening on %s:%d" % address, flush=True)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
