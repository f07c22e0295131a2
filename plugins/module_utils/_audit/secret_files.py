# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that hold secrets, by their names. Pure."""

from __future__ import annotations

import re

# Files of keys and credentials by the end of the name; public halves and samples are no secrets.
SECRET_ENDINGS = frozenset(("key", "p12", "pfx", "jks", "keystore", "kdbx", "ppk", "passphrase", "enc"))
_SECRET_NAMES = frozenset(
    (
        "id_rsa",
        "id_dsa",
        "id_ecdsa",
        "id_ed25519",
        ".pgpass",
        ".netrc",
        ".htpasswd",
        ".my.cnf",
        ".passphrase",
        "service-account.json",
        "credentials.json",
    )
)
_SAMPLE_ENDINGS = (".example", ".sample", ".template", ".dist", ".pub")
ARCHIVE_ENDINGS = (
    ".tar",
    ".gz",
    ".tgz",
    ".zst",
    ".xz",
    ".bz2",
    ".zip",
    ".enc",
    ".gpg",
    ".age",
    ".archive",
    ".dump",
    ".sql",
    ".bson",
    ".bak",
)
_COPY = re.compile(
    r"(?i)(?:[._-](?:bak|old|orig|save|saved|backup|copy|bkp|prev)[0-9]{0,2}|~|[._-]\d{4}-?\d\d-?\d\d(?:[-_T]?[\d:-]{4,8})?)$"
)
# A PEM file may hold a private key or only certificates: its content decides.
PEM_ENDINGS = frozenset(("pem",))


def env_file(name: str) -> bool:
    """Whether a file is one that an application reads its secrets from, and not a sample of it; copies are among them."""
    return (name == ".env" or name.startswith(".env.")) and not name.endswith(_SAMPLE_ENDINGS)


def copied_file(name: str) -> bool:
    """Whether a file is a copy that somebody has left behind: its name says so, or holds a day."""
    return bool(_COPY.search(name))


def without_copy_mark(name: str) -> str:
    """The name that a copy was made of: ``.env~``, ``site.key.old`` and ``prod.env-2026-11-24`` without their ends."""
    return _COPY.sub("", name)


def secret_file(name: str) -> bool:
    """Whether a file holds keys or credentials, by its name; PEM files are decided by content."""
    if name in _SECRET_NAMES:
        return True
    stem, _dot, ending = name.rpartition(".")
    return bool(stem) and ending.lower() in SECRET_ENDINGS
