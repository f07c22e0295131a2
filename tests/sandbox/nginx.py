# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An nginx of Debian, unpacked into the cache, in front of a shop; nothing is installed on the machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.sandbox.apt import debian_package
from tests.sandbox.mongod import free_port

SUITE = "bookworm"


def nginx_binary() -> Path:
    """The machine's nginx, or one of the cache.

    Raises PackagesUnavailable when there is neither.
    """
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    return Path(found) if found else debian_package(["nginx", "nginx-common"], SUITE) / "usr/sbin/nginx"


MAIN = """\
daemon on;
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
{user}worker_processes 1;
events {{ }}
http {{
    access_log {directory}/access.log;
    client_body_temp_path {directory}/tmp; proxy_temp_path {directory}/tmp; fastcgi_temp_path {directory}/tmp;
    uwsgi_temp_path {directory}/tmp; scgi_temp_path {directory}/tmp;
    include {directory}/sites-enabled/*;
}}
"""

# As people write it, with what a snippet could trip over: error pages and headers of their own, a location by regular
# expression, and a server beside it that is not the shop's.
SITE = """\
upstream shop_api {{
    server 127.0.0.1:{api};   # the API
}}
server {{
    listen 127.0.0.1:{port};
    server_name shop.example www.shop.example ~^(\\w+)\\.shop\\.test$;
    error_page 500 502 503 504 /50x.html;
    add_header X-Frame-Options "DENY; {{}}";
    location = /health {{ return 200 "healthy\\n"; }}
    location = /api/webhook-of {{ return 200 "$1\\n"; }}
    location /api/ {{
        proxy_pass http://shop_api;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
    location ~* \\.(html|json)$ {{ return 200 "static {{$uri}}\\n"; }}
    location / {{ return 200 "Handmade Harmony\\n"; }}
}}
server {{ listen 127.0.0.1:{port}; server_name other.example; location / {{ return 200 "other\\n"; }} }}
"""


class Nginx:
    """One nginx with a configuration of its own in a directory, as on a host: sites-available, and a link to it."""

    def __init__(self, directory: Path, api_port: int) -> None:
        self.directory = directory
        self.port = free_port()
        self.program = nginx_binary()
        self.config = directory / "nginx.conf"
        self.site = directory / "sites-available/shop"
        for name in ("tmp", "sites-available", "sites-enabled"):
            (directory / name).mkdir(parents=True)
        user = "user www-data;\n" if os.geteuid() == 0 else ""
        self.config.write_text(MAIN.format(directory=directory, user=user), encoding="utf-8")
        self.site.write_text(SITE.format(api=api_port, port=self.port), encoding="utf-8")
        (directory / "sites-enabled/shop").symlink_to("../sites-available/shop")

    def run(self, *arguments: str) -> None:
        done = subprocess.run(
            [self.program, "-c", self.config, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        self.run()
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, (self.directory / "error.log").read_text()
                time.sleep(0.02)

    def stop(self) -> None:
        pid = self.directory / "nginx.pid"
        if pid.exists():
            self.run("-s", "stop")
        deadline = time.monotonic() + 20
        while pid.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
