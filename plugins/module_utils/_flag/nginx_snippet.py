# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nginx is given: a snippet for the servers of the shop, which asks on each request whether the shop is closed. Pure.

Nothing of it needs a reload when maintenance is put up or taken down: it looks for a link, and serves files behind it. The
moment for Retry-After is the modification time of these files, which nginx knows as the Last-Modified of its own answer.

Whoever takes $1 of a regular server_name in his configuration loses it to any regular expression in an `if` or a `rewrite` that
nginx comes across, matching or not (measured with 1.22). So none is tried while the shop is open, nor for an allowed address,
nor for an open path without a star.
"""

from __future__ import annotations

import hashlib
import re
from typing import List, Sequence

from .._core.errors import MaintenanceError

SNIPPET = "nginx.conf"
CLOSED = "closed"
# Below this nothing of the shop lies; visitors get 404 there.
PREFIX = "/-miniecom-maintenance-"
INSTALLED_PATH = PREFIX + "installed"
# Tells our own 503 from one of the application's.
MARK, MARK_VALUE = "X-Maintenance", "nginx"
DEFAULT_OPEN_PATHS = ("/health", "/api/health", "/api/webhook*", "/api/*/webhook*")
# Without an end, when to ask again, in seconds.
WITHOUT_END = 3600
_TITLE = "# miniecom.maintenance "
_PATH = re.compile(r"/[A-Za-z0-9._~/*-]*")
_DIRECTORY = re.compile(r"/[A-Za-z0-9._/-]+")
_LANGUAGE = r"([A-Za-z]{2,3})(?![A-Za-z])[^,]*"


def check_directory(path: str) -> str:
    """Raises MaintenanceError: nginx would read something else out of it."""
    if not _DIRECTORY.fullmatch(path) or "/../" in path + "/":
        raise MaintenanceError(
            "nginx cannot be given this directory",
            target=path,
            next_step="Choose an absolute one of letters, digits, dots, dashes and underscores.",
        )
    return path


def open_pattern(path: str) -> str:
    """A path that stays open, as a regular expression from its start; ``*`` stands for anything.

    Raises:
        MaintenanceError: it is none.
    """
    if not _PATH.fullmatch(path) or path.strip("/*") == "":
        raise MaintenanceError(
            "this is no path that could stay open",
            target=repr(path),
            next_step="Write it like /api/health, with * for anything.",
        )
    return ".*".join(re.escape(part) for part in path.split("*")) + "$"


def sample_of(path: str) -> str:
    """A path that a pattern lets through, and that no shop has: for asking whether it does."""
    return path.replace("*", "maintenance-probe")


def snippet_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def is_snippet(text: str) -> bool:
    """Whether it is a snippet of ours, of whatever version."""
    return text.startswith(_TITLE)


def render_snippet(directory: str, open_paths: Sequence[str]) -> str:
    """The snippet; its first line and the answer at INSTALLED_PATH hold the digest of the rest.

    Raises:
        MaintenanceError: directory or a path would be read otherwise by nginx.
    """
    body = _body(check_directory(directory), open_paths)
    return "%s%s\n%s" % (_TITLE, snippet_digest(body), body.replace("@DIGEST@", snippet_digest(body)))


def _body(directory: str, open_paths: Sequence[str]) -> str:
    closed = "%s/%s" % (directory, CLOSED)
    lines: List[str] = [
        "# Made by miniecom.maintenance.maintenance_nginx, which also removes it. Included by the servers of the shop.",
        'set $miniecom_closed "";',
        "if (-d %s) { set $miniecom_closed 1; }" % closed,
        'if (-f %s/allow/$remote_addr) { set $miniecom_closed ""; }' % closed,
    ]
    lines += ['if ($uri = %s) { set $miniecom_closed ""; }' % path for path in open_paths if "*" not in path]
    others = "|".join([PREFIX, *(open_pattern(path) for path in open_paths)])
    lines += [
        "set $miniecom_end until;",
        "if (-f %s/no-end) { set $miniecom_end later; }" % closed,
        "if ($miniecom_closed) {",
        '    rewrite "^(?!%s)/api(?:/|$)" %sapi last;' % (others, PREFIX),
        '    rewrite "^(?!%s)" %spage last;' % (others, PREFIX),
        "}",
        "",
        "location = %s {" % INSTALLED_PATH,
        "    auth_basic off; allow 127.0.0.0/8; allow ::1; allow 10.0.0.0/8; allow 172.16.0.0/12; allow 192.168.0.0/16; deny all;",
        "    default_type text/plain;",
        '    return 200 "@DIGEST@";',
        "}",
        "location = %sapi {" % PREFIX,
        "    internal; auth_basic off; allow all;",
        "    error_page 503 %sapi-$miniecom_end;" % PREFIX,
        "    return 503;",
        "}",
        "location = %spage {" % PREFIX,
        "    internal; auth_basic off; allow all;",
        "    error_page 503 %spage-$miniecom_end;" % PREFIX,
        "    set $miniecom_1 none; set $miniecom_2 none; set $miniecom_3 none;",
        # One regular expression for each, as a capture of one that does not match is that of the one before.
        '    if ($http_accept_language ~ "^%s") { set $miniecom_1 $1; }' % _LANGUAGE,
        '    if ($http_accept_language ~ "^[^,]*,\\s*%s") { set $miniecom_2 $1; }' % _LANGUAGE,
        '    if ($http_accept_language ~ "^[^,]*,[^,]*,\\s*%s") { set $miniecom_3 $1; }' % _LANGUAGE,
        "    return 503;",
        "}",
    ]
    pages = " ".join("/page.$miniecom_%d.html" % number for number in (1, 2, 3))
    for kind, media, files in (
        ("page", '"text/html; charset=utf-8"', pages + " /page.html"),
        ("api", '"application/json; charset=utf-8"', "/api.json"),
    ):
        for end, moment in (("until", "$sent_http_last_modified"), ("later", str(WITHOUT_END))):
            lines += [
                "location = %s%s-%s {" % (PREFIX, kind, end),
                "    internal; auth_basic off; allow all;",
                "    root %s; types { } default_type %s; etag off; if_modified_since off; open_file_cache off;"
                % (closed, media),
                "    add_header Retry-After %s always;" % moment,
                # After Retry-After, which is taken from it: a date in the future is none that a cache should see.
                '    add_header Last-Modified "" always;',
                "    add_header Cache-Control no-store always;",
                "    add_header Vary Accept-Language always;",
                "    add_header %s %s always;" % (MARK, MARK_VALUE),
                "    try_files %s =503;" % files,
                "}",
            ]
    return "".join(line + "\n" for line in lines)
