# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import making, tarball
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.catalogue import (
    look_at,
    read_catalogue,
    sidecar_path,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.encryption import Openssl, read_passphrase
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.manifest import (
    CollectionRecord,
    FoundCollection,
    Manifest,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from tests.support.archives import small_archive

RECORD = CollectionRecord("a", "collection", "a", 1, 3, "aa")


def job(tmp_path: Path, name: str = "20261124_020000.tar.gz", **changes: object) -> making.ArchiveJob:
    uploads = tmp_path / "uploads"
    uploads.mkdir(exist_ok=True)
    (uploads / "a.jpg").write_bytes(b"abc")
    (tmp_path / "dest").mkdir(exist_ok=True)

    def write(out: object) -> list[CollectionRecord]:
        out(b"dump")  # type: ignore[operator]
        return [RECORD]

    def read(stream: object) -> dict[str, FoundCollection]:
        assert stream.read() == b"dump"  # type: ignore[attr-defined]
        return {"a": FoundCollection(1, 3, "aa")}

    values: dict[str, object] = {
        "write_dump": write,
        "read_dump": read,
        "parts": [making.ArchivePart("uploads", str(uploads))],
        **changes,
    }
    return making.ArchiveJob(str(tmp_path / "dest" / name), Manifest(name, "2026-11-24T02:00:00Z", "shop"), **values)  # type: ignore[arg-type]


def test_a_backup_is_verified_when_it_gets_its_name(tmp_path: Path) -> None:
    made = making.make(job(tmp_path))
    found = look_at(str(tmp_path / "dest" / "20261124_020000.tar.gz"))
    assert found is not None
    assert found.verification == made.verification
    assert found.verification.components == ("uploads",)
    assert found.size == (tmp_path / "dest" / "20261124_020000.tar.gz").stat().st_size
    assert (tmp_path / "dest" / "20261124_020000.tar.gz").stat().st_mode & 0o777 == 0o600
    assert Path(sidecar_path(found.path)).stat().st_mode & 0o777 == 0o600


def test_what_was_read_back_must_be_what_was_written(tmp_path: Path) -> None:
    bad = job(tmp_path, read_dump=lambda stream: {"a": FoundCollection(2, 3, "aa")})
    with pytest.raises(MaintenanceError, match="not what was written"):
        making.make(bad)
    assert list((tmp_path / "dest").iterdir()) == []


@pytest.mark.parametrize("passphrase", [None, b"secret"])
def test_uploads_that_read_back_otherwise_are_no_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: bytes | None
) -> None:
    record = tarball.Component.record
    monkeypatch.setattr(tarball.Component, "record", lambda self: replace(record(self), sha256="0" * 64))
    with pytest.raises(MaintenanceError, match="uploads has other content than was written"):
        making.make(job(tmp_path, passphrase=passphrase))
    assert list((tmp_path / "dest").iterdir()) == []


def test_a_directory_without_a_file_is_recorded_as_empty(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    parts = [
        making.ArchivePart("uploads", str(tmp_path / "uploads")),
        making.ArchivePart("labels", str(tmp_path / "labels")),
    ]
    made = making.make(job(tmp_path, parts=parts))
    assert made.verification.components == ("uploads", "labels")
    assert made.verification.empty == ("labels",)
    found = look_at(str(tmp_path / "dest" / "20261124_020000.tar.gz"))
    assert found is not None
    assert found.parts == {"uploads"}


@pytest.mark.parametrize("error", [MaintenanceError("x"), OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("passphrase", [None, b"secret"])
def test_nothing_remains_of_a_backup_that_failed(
    tmp_path: Path, error: BaseException, passphrase: bytes | None
) -> None:
    def write(out: object) -> list[CollectionRecord]:
        out(b"x" * 10_000_000)  # type: ignore[operator]
        raise error

    expected = MaintenanceError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        making.make(job(tmp_path, write_dump=write, passphrase=passphrase))
    if isinstance(error, OSError):
        assert "ENOSPC" in str(caught.value)
    assert list((tmp_path / "dest").iterdir()) == []


def test_it_stops_before_the_disk_is_full(tmp_path: Path) -> None:
    def write(out: object) -> list[CollectionRecord]:
        for _count in range(40):
            out(b"x" * 1_000_000)  # type: ignore[operator]
        return [RECORD]

    with pytest.raises(MaintenanceError, match="less than min_free"):
        making.make(job(tmp_path, write_dump=write, compression="none", min_free=2**60))
    assert list((tmp_path / "dest").iterdir()) == []


def test_an_existing_backup_is_never_written_over(tmp_path: Path) -> None:
    making.make(job(tmp_path))
    before = (tmp_path / "dest" / "20261124_020000.tar.gz").read_bytes()
    with pytest.raises(MaintenanceError, match="exists already"):
        making.make(job(tmp_path))
    assert (tmp_path / "dest" / "20261124_020000.tar.gz").read_bytes() == before


def test_encrypted_as_openssl_does_it(tmp_path: Path) -> None:
    making.make(job(tmp_path, "20261124_020000.tar.gz.enc", passphrase=b"a 'good' passphrase $HOME"))
    (backup,) = read_catalogue(str(tmp_path / "dest")).backups
    assert backup.encrypted
    assert backup.verified
    (tmp_path / "pass").write_text("a 'good' passphrase $HOME\n")
    plain = subprocess.run(
        ["openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-pass", f"file:{tmp_path / 'pass'}", "-in", backup.path],
        check=True,
        capture_output=True,
    ).stdout
    listed = subprocess.run(["tar", "tzf", "-"], input=plain, check=True, capture_output=True).stdout.decode().split()
    assert "20261124_020000/uploads/a.jpg" in listed
    assert "20261124_020000/mongo.archive.gz" in listed


def test_a_wrong_passphrase_says_so(tmp_path: Path) -> None:
    making.make(job(tmp_path, "20261124_020000.tar.gz.enc", passphrase=b"right"))
    with (
        (tmp_path / "dest" / "20261124_020000.tar.gz.enc").open("rb") as source,
        closing(Openssl(source, b"wrong", True, "x")) as cipher,
        pytest.raises(MaintenanceError, match="passphrase is wrong"),
    ):
        while cipher.read():
            pass


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\nsecond\n"])
def test_an_empty_passphrase_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pass").write_bytes(content)
    with pytest.raises(MaintenanceError, match="is empty"):
        read_passphrase(str(tmp_path / "pass"))


@pytest.mark.parametrize(
    "content", [b"secret\r\nsecond\n", b"secret\n", b"secret", b"se\rcret \r\r\n", "schl\u00fcssel\r\n".encode()]
)
def test_the_key_is_that_of_openssl_with_the_same_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pass").write_bytes(content)
    making.make(job(tmp_path, "20261124_020000.tar.gz.enc", passphrase=read_passphrase(str(tmp_path / "pass"))))
    (backup,) = read_catalogue(str(tmp_path / "dest")).backups
    command = ["openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-pass", f"file:{tmp_path / 'pass'}"]
    plain = subprocess.run([*command, "-in", backup.path], check=True, capture_output=True).stdout
    subprocess.run(["tar", "tzf", "-"], input=plain, check=True, capture_output=True)


def test_another_manifest_than_was_written_is_no_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = making.read_backup

    def other(*arguments: object) -> tarball.ReadBack:
        found = read(*arguments)  # type: ignore[arg-type]
        assert found.manifest is not None
        return replace(found, manifest=replace(found.manifest, database="another"))

    monkeypatch.setattr(making, "read_backup", other)
    with pytest.raises(MaintenanceError, match="the manifest has other content than was written"):
        making.make(job(tmp_path))
    assert list((tmp_path / "dest").iterdir()) == []


def test_what_does_not_decrypt_to_what_was_written_is_no_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypt = making._encrypt

    def other(wanted: making.ArchiveJob, plain: object, handle: object) -> None:
        plain.seek(-1, os.SEEK_END)  # type: ignore[attr-defined]
        plain.write(b"x")  # type: ignore[attr-defined]
        encrypt(wanted, plain, handle)  # type: ignore[arg-type]

    monkeypatch.setattr(making, "_encrypt", other)
    with pytest.raises(MaintenanceError, match="decrypting it does not give what was encrypted"):
        making.make(job(tmp_path, "20261124_020000.tar.gz.enc", passphrase=b"secret"))
    assert list((tmp_path / "dest").iterdir()) == []


@pytest.mark.parametrize("passphrase", [None, b"secret"])
def test_no_record_stays_of_an_archive_that_got_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: bytes | None
) -> None:
    rename = os.rename

    def refused(source: str, target: str) -> None:
        if target.endswith(".tar.gz"):
            raise OSError(5, "Input/output error", target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(MaintenanceError, match="EIO"):
        making.make(job(tmp_path, passphrase=passphrase))
    assert list((tmp_path / "dest").iterdir()) == []


def encrypted(directory: Path, plain: bytes) -> Path:
    (directory / "pass").write_text("the right one\n")
    (directory / "plain").write_bytes(plain)
    target = directory / "20261124_020000.tar.gz.enc"
    command = ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-salt", "-pass", f"file:{directory / 'pass'}"]
    subprocess.run([*command, "-in", directory / "plain", "-out", target], check=True)
    return target


@pytest.mark.parametrize(
    "plain",
    [
        os.urandom(5000),
        b"\x1f\x8b" + bytes(range(256)) * 40,
        b"\x1f\x8b\x08\x00" + bytes(range(256)) * 40,
        gzip.compress(b"packed, and no tar in it" * 400, mtime=0),
    ],
    ids=["garbage", "begins as gzip", "begins as gzip of this method", "gzip of another kind"],
)
def test_what_a_wrong_passphrase_gives_is_no_archive_even_where_openssl_has_no_complaint(
    tmp_path: Path, plain: bytes
) -> None:
    """One wrong passphrase in 256 passes openssl; what comes out then may begin as anything."""
    with (
        encrypted(tmp_path, plain).open("rb", 0) as handle,
        closing(
            Openssl(handle, b"the right one", True, "x")  # type: ignore[arg-type]
        ) as cipher,
        pytest.raises(MaintenanceError, match="cannot decrypt"),
    ):
        cipher.read(1)


def test_a_wrong_passphrase_that_openssl_takes_is_noticed(tmp_path: Path) -> None:
    """One of 256 is taken, as the padding then fits by chance; this one was looked for."""
    path = tmp_path / "20261124_020000.tar.gz.enc"
    noise = hashlib.sha512(b"miniecom").digest() + hashlib.sha512(b"maintenance").digest()
    path.write_bytes(b"Salted__" + noise[:104])
    command = ["openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-in", path, "-pass", "stdin"]
    done = subprocess.run(command, input=b"wrong 351\n", capture_output=True, check=True)
    assert len(done.stdout) == 95, "openssl has no complaint"
    with (
        path.open("rb", 0) as handle,
        closing(
            Openssl(handle, b"wrong 351", True, "x")  # type: ignore[arg-type]
        ) as cipher,
        pytest.raises(MaintenanceError, match=r"cannot decrypt.*passphrase_file \(backup_passphrase_file;"),
    ):
        cipher.read()


@pytest.mark.parametrize("size", [1, 7, 512, 1 << 20])
def test_what_is_decrypted_comes_out_as_it_went_in_whatever_is_read_at_a_time(tmp_path: Path, size: int) -> None:
    plain = small_archive(os.urandom(3000 if size < 100 else 200_000))
    with (
        encrypted(tmp_path, plain).open("rb", 0) as handle,
        closing(
            Openssl(handle, b"the right one", True, "x")  # type: ignore[arg-type]
        ) as cipher,
    ):
        assert b"".join(iter(lambda: cipher.read(size), b"")) == plain
