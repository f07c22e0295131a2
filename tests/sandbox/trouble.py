# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What years of operation do to the shop's directory: open modes, secrets in code, piles of backups and logs.

The trouble in the database is made by seed.py, that in Docker by the compose sandbox.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import random
import secrets
import struct
import tarfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import bson

ARCHIVE_MAGIC = bytes.fromhex("6de29981")
TERMINATOR = b"\xff\xff\xff\xff"
# What no rotation of backups may touch: kept by hand.
HAND_KEPT = (
    "keep/before-migration.tar.gz",
    "keep/20240105_020000.tar.gz",
    "20240101_020000/mongo.archive.gz",
    "NOTES.txt",
)


@dataclass
class Trouble:
    """What was made, for tests to compare with.

    secrets: values written by this call that may be shown nowhere.
    """

    world_writable: list[Path] = field(default_factory=list)
    readable_secrets: list[Path] = field(default_factory=list)
    hard_coded: list[Path] = field(default_factory=list)
    backups: int = 0
    old_logs: list[Path] = field(default_factory=list)
    large_logs: list[Path] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)


def make_trouble(root: Path, *, days: int = 400, now: datetime | None = None) -> Trouble:
    """Put everything into the shop's directory that the weekly run finds and cleans up; what is there already stays.

    days: of daily backups, the newest of yesterday.
    """
    moment = now or datetime.now()
    trouble = Trouble()
    _open_modes(root, trouble)
    _secrets_in_code(root, trouble)
    trouble.backups = _backups(root / "storage/backups", days, moment)
    _logs(root / "storage/logs", moment, trouble)
    return trouble


def _open_modes(root: Path, trouble: Trouble) -> None:
    (root / ".env").chmod(0o644)
    trouble.readable_secrets.append(root / ".env")
    directory = root / "backend/uploads/tmp"
    directory.mkdir(parents=True, exist_ok=True)
    for path in (directory, root / "storage/uploads"):
        path.chmod(0o777)
        trouble.world_writable.append(path)
    key = root / "nginx/ssl/privkey.pem"
    key.parent.mkdir(parents=True, exist_ok=True)
    body = base64.encodebytes(b"\x30\x82\x04\xbd\x02\x01\x00\x30\x0d" + secrets.token_bytes(900)).decode()
    key.write_text(f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n", encoding="ascii")
    key.chmod(0o644)
    trouble.readable_secrets.append(key)


def _secrets_in_code(root: Path, trouble: Trouble) -> None:
    """Secrets in files of the shop. They stay what they are: other ones would be news to an audit that knows these."""
    directory = root / "backend/src/config"
    directory.mkdir(parents=True, exist_ok=True)
    razorpay = "".join(random.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=23)) + "7"
    smtp, database = secrets.token_urlsafe(15), secrets.token_hex(12)
    texts = {
        directory / "payments.js": (
            "// TODO: move to .env\n"
            f"const razorpay = {{ key_id: 'rzp_live_{razorpay[:14]}', key_secret: '{razorpay}' }};\n"
            "module.exports = { razorpay };\n"
        ),
        directory / "mailer.js": (
            f"const password = '{smtp}';\nmodule.exports = {{ user: 'shop@example.org', password }};\n"
        ),
        # A path with "test" in it is code as well.
        root / "backend/src/test-import.js": (
            f"const uri = 'mongodb://importer:{database}@db.example.org:27017/handmade_harmony';\n"
        ),
    }
    for (path, text), secret in zip(texts.items(), (razorpay, smtp, database), strict=True):
        if not path.exists():
            path.write_text(text, encoding="utf-8")
            trouble.secrets.append(secret)
        path.chmod(0o644)
        trouble.hard_coded.append(path)


# -- backups -----------------------------------------------------------------------------------------------------------


def empty_archive() -> bytes:
    """A compressed database archive, in the format of mongodump, without any collection."""
    header = {"concurrent_collections": 4, "version": "0.1", "server_version": "7.0.14", "tool_version": "100.10.0"}
    return gzip.compress(ARCHIVE_MAGIC + bson.encode(header) + TERMINATOR, mtime=0)


def _backups(directory: Path, days: int, moment: datetime) -> int:
    """One backup a day at two in the night, as the shop's backup.sh makes them; returns how many there are."""
    directory.mkdir(parents=True, exist_ok=True)
    database = empty_archive()
    for age in range(1, days + 1):
        at = (moment - timedelta(days=age)).replace(hour=2, minute=0, second=0, microsecond=0)
        path = directory / f"{at:%Y%m%d_%H%M%S}.tar.gz"
        if not path.exists():
            path.write_bytes(_backup(path.name.partition(".")[0], at, database))
            path.chmod(0o644)
            os.utime(path, (at.timestamp() + 95, at.timestamp() + 95))
    past = datetime(2024, 1, 5, 2).timestamp()
    for name in HAND_KEPT:
        path = directory / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(database if path.suffix == ".gz" else b"keep/ is from before the migration\n")
            os.utime(path, (past, past))
    return days


def _backup(name: str, at: datetime, database: bytes) -> bytes:
    manifest = {"timestamp": at.isoformat(), "database": "handmade_harmony", "version": "1.4.2", "encrypted": False}
    files = {
        "mongo.archive.gz": database,
        ".env": b"NODE_ENV=production\n",
        "docker-compose.yml": b"services: {}\n",
        "manifest.json": json.dumps(manifest).encode(),
    }
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for inside, mode in ((name, 0o755), (f"{name}/uploads", 0o755)):
            entry = tarfile.TarInfo(inside)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, mode, int(at.timestamp())
            archive.addfile(entry)
        for inside, content in files.items():
            entry = tarfile.TarInfo(f"{name}/{inside}")
            entry.size, entry.mtime = len(content), int(at.timestamp())
            archive.addfile(entry, io.BytesIO(content))
    # Level 1: there are hundreds, and tar's padding shrinks at any level.
    return gzip.compress(raw.getvalue(), 1, mtime=int(at.timestamp()))


# -- logs --------------------------------------------------------------------------------------------------------------


def _logs(directory: Path, moment: datetime, trouble: Trouble) -> None:
    """Logs of the shop's scripts: current ones, two that are too large, and those of past weeks and months."""
    directory.mkdir(parents=True, exist_ok=True)
    sizes = {"ops": 5 << 20, "backups": 3 << 20, "alerts": 20_000, "security_audit": 60_000, "cron": 400_000}
    for name, size in sizes.items():
        path = directory / f"{name}.log"
        _write_log(path, name, size, moment - timedelta(hours=3))
        if size > 2 << 20:
            trouble.large_logs.append(path)
    # The API of a native shop holds its own log open for appending, and goes on writing to it.
    api = directory / "api.log"
    if api.exists():
        with api.open("ab") as handle:
            handle.write(b"GET /api/products 200\n" * (150_000 if api.stat().st_size < 2 << 20 else 0))
        trouble.large_logs.append(api)
    # One a week: the youngest stay, those older than a week are worth compressing, those of past months go.
    for name in ("ops", "cron", "alerts"):
        for age in (2, 9, 16, 23, 33, 47, 75, 200):
            at = moment - timedelta(days=age)
            path = directory / f"{name}-{at:%Y%m%d}.log"
            _write_log(path, name, 120_000, at)
            if age > 7:
                trouble.old_logs.append(path)


def _write_log(path: Path, name: str, size: int, at: datetime) -> None:
    if path.exists() or path.with_name(f"{path.name}.gz").exists():
        return
    lines = []
    written = 0
    number = 0
    while written < size:
        number += 1
        time = at - timedelta(seconds=30 * ((size - written) // 90))
        line = f"{time:%Y-%m-%dT%H:%M:%S} [{name}] step {number}: ok, {struct.unpack('<H', os.urandom(2))[0]} ms, queue empty\n"
        lines.append(line)
        written += len(line)
    path.write_text("".join(lines), encoding="utf-8")
    path.chmod(0o644)
    os.utime(path, (at.timestamp(), at.timestamp()))
