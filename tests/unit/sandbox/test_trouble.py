# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import stat
import tarfile
from datetime import datetime
from pathlib import Path

import bson
import pytest

from tests.sandbox.trouble import ARCHIVE_MAGIC, HAND_KEPT, TERMINATOR, Trouble, make_trouble

NOW = datetime(2026, 11, 23, 12)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trouble]:
    root = tmp_path_factory.mktemp("shop")
    for directory in ("backend/src", "storage/uploads", "nginx"):
        (root / directory).mkdir(parents=True)
    (root / ".env").write_text("A=1\n")
    return root, make_trouble(root, days=40, now=NOW)


def test_open_modes(made: tuple[Path, Trouble]) -> None:
    _, trouble = made
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o777 for path in trouble.world_writable)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o644 for path in trouble.readable_secrets)
    assert {path.name for path in trouble.readable_secrets} == {".env", "privkey.pem"}


def test_each_hard_coded_secret_is_in_a_file(made: tuple[Path, Trouble]) -> None:
    _, trouble = made
    text = "".join(path.read_text() for path in trouble.hard_coded)
    assert len(trouble.secrets) == 3
    assert all(secret in text for secret in trouble.secrets)


def test_backups_are_what_their_names_say(made: tuple[Path, Trouble]) -> None:
    root, trouble = made
    names = sorted(path.name for path in (root / "storage/backups").glob("*.tar.gz"))
    assert len(names) == trouble.backups == 40
    assert names[-1] == "20261122_020000.tar.gz"
    with tarfile.open(root / "storage/backups" / names[0]) as archive:
        directory = names[0].partition(".")[0]
        assert {f"{directory}/mongo.archive.gz", f"{directory}/manifest.json", f"{directory}/uploads"} <= set(
            archive.getnames()
        )
    assert all((root / "storage/backups" / name).is_file() for name in HAND_KEPT)


def test_archive_has_the_format_of_mongodump(made: tuple[Path, Trouble]) -> None:
    import gzip

    root, _ = made
    data = gzip.decompress((root / "storage/backups/20240101_020000/mongo.archive.gz").read_bytes())
    assert data.startswith(ARCHIVE_MAGIC)
    assert data.endswith(TERMINATOR)
    assert bson.decode(data[4:-4])["version"] == "0.1"


def test_logs_are_large_and_old(made: tuple[Path, Trouble]) -> None:
    root, trouble = made
    assert all(path.stat().st_size > 2 << 20 for path in trouble.large_logs)
    assert trouble.large_logs
    ages = {(NOW - datetime.fromtimestamp(path.stat().st_mtime)).days for path in trouble.old_logs}
    assert {age for age in ages if age > 30}
    assert {age for age in ages if 7 < age < 30}
    # logrotate refuses a directory that everybody can write to.
    assert not (root / "storage/logs").stat().st_mode & 0o002


def test_what_was_cleaned_up_is_not_doubled(made: tuple[Path, Trouble]) -> None:
    root, trouble = made
    compressed = trouble.old_logs[0]
    compressed.rename(compressed.with_name(f"{compressed.name}.gz"))
    (root / ".env").chmod(0o600)
    make_trouble(root, days=40, now=NOW)
    assert not compressed.exists()
    assert stat.S_IMODE((root / ".env").stat().st_mode) == 0o644


def test_secrets_stay_what_they_are(made: tuple[Path, Trouble]) -> None:
    root, trouble = made
    before = {path: path.read_text() for path in trouble.hard_coded}
    again = make_trouble(root, days=40, now=NOW)
    assert again.secrets == []
    assert {path: path.read_text() for path in again.hard_coded} == before
