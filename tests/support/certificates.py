# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates for servers of tests."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make_certificates(directory: Path, name: str) -> None:
    """An authority (ca.pem), and a server's certificate that bears one name alone (server.pem, with its key)."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl(*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    openssl(*new[:4], "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={name}")
    (directory / "names").write_text(f"subjectAltName=DNS:{name}\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", "-days", "2", *signing, "-out", "server.crt")
    parts = [(directory / part).read_text() for part in ("server.key", "server.crt")]
    (directory / "server.pem").write_text("".join(parts))


_AUTHORITY = """\
[ca]
default_ca = own
[own]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
"""


def make_dated(directory: Path, name: str, begins: str, ends: str) -> Path:
    """A certificate that signs itself, with its key in one file, valid between two moments (``YYYYmmddHHMMSSZ``)."""
    for file, text in (("own.cnf", _AUTHORITY), ("index", ""), ("serial", "01\n")):
        (directory / file).write_text(text)
    new = ("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "dated.key", "-out", "dated.csr", "-subj", f"/CN={name}")
    sign = ("ca", "-config", "own.cnf", "-selfsign", "-batch", "-notext", "-keyfile", "dated.key", "-in", "dated.csr")
    for arguments in (new, (*sign, "-out", "dated.crt", "-startdate", begins, "-enddate", ends)):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)
    path = directory / f"{name}-{ends}.pem"
    path.write_text("".join((directory / part).read_text() for part in ("dated.key", "dated.crt")))
    return path
