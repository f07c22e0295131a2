# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mongo_restore: what restores is proven to, what does not is said so, and nothing of the test stays."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bson
import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue
from ansible_collections.miniecom.maintenance.plugins.module_utils._core import processes
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.archive import (
    ArchiveReader,
    ArchiveWriter,
    CollectionMetadata,
)
from tests.integration.test_mongo_backup import fill_with_every_kind, ok, wait_for
from tests.sandbox.mongod import Mongod
from tests.support.modules import ModuleResult, finish_module, run_module, start_module

SAMPLE = Path(__file__).parents[1] / "samples" / "mongodump-sample.archive.gz"
NAME = "20261124_020000"


@pytest.fixture(scope="module")
def good(mongod: Mongod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A backup of a database with every kind of collection; tests work on copies."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "uploads").mkdir()
    (folder / "uploads" / "a.jpg").write_bytes(os.urandom(3000))
    (folder / "dest").mkdir()
    with mongod.client() as client:
        fill_with_every_kind(client.test_restore)
        # Expired already: it must still be there when the restored server is compared.
        client.test_restore.sessions.insert_one({"at": bson.datetime.datetime(2001, 1, 1)})
    params = {
        "uri": mongod.uri_for("test_restore"),
        "dest": str(folder / "dest"),
        "state_dir": str(folder / "state"),
        "include": [{"name": "uploads", "path": str(folder / "uploads")}],
        "min_free": "1MiB",
    }
    yield Path(ok(run_module("mongo_backup", params)).result["path"])
    with mongod.client() as client:
        client.drop_database("test_restore")


@pytest.fixture
def backup(good: Path, tmp_path: Path) -> Path:
    """A copy of the good backup with its record."""
    folder = tmp_path / "backups"
    folder.mkdir()
    for path in good.parent.iterdir():
        shutil.copy2(path, folder)
    return folder / good.name


@pytest.fixture
def params(mongod: Mongod, backup: Path, state_dir: Path) -> dict[str, Any]:
    return {"src": str(backup.parent), "uri": mongod.uri, "state_dir": str(state_dir), "min_free": "1MiB"}


@pytest.fixture(autouse=True)
def nothing_stays(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No server, no folder, no note of a leftover after any test."""
    # A folder for temporary files of its own: other runs may test restores on this machine at the same time. It must be
    # short, since a socket lies in it.
    with tempfile.TemporaryDirectory(prefix="rt-") as own:
        monkeypatch.setenv("TMPDIR", own)
        yield
        assert servers(state_dir) == []
        assert list(state_dir.glob("restore-test-*")) == []
        assert list((state_dir / "leftovers").glob("*.json")) == []
        assert list(Path(own).glob("miniecom-restore-test-*")) == []


def servers(state_dir: Path) -> list[int]:
    """Throwaway servers of this test that run now."""
    own = (f"{state_dir}/restore-test-", f"{os.environ['TMPDIR']}/miniecom-restore-test-")
    return [
        process.pid
        for process in processes.list_processes()
        if any(place in part for part in process.argv for place in own) and process.name.startswith("mongod")
    ]


def remake(path: Path, change: Callable[[Path], None]) -> None:
    """Unpack a backup, change what is in it, pack it again with stock tar."""
    work = path.parent / "work"
    work.mkdir()
    subprocess.run(["tar", "xzf", path, "-C", work], check=True)
    (folder,) = work.iterdir()
    change(folder)
    subprocess.run(["tar", "czf", path, "-C", work, folder.name], check=True)
    shutil.rmtree(work)


def rewrite_dump(
    folder: Path,
    head: Callable[[CollectionMetadata], CollectionMetadata] = lambda entry: entry,
    data: Callable[[str, bytes], bytes] = lambda name, raw: raw,
) -> None:
    """Write the dump again with a change; it is a valid archive, with valid checksums, of something else."""
    dump = folder / "mongo.archive.gz"
    reader = ArchiveReader(io.BytesIO(gzip.decompress(dump.read_bytes())))
    batches = [(batch.db, batch.collection, batch.data) for batch in reader.batches()]
    out = io.BytesIO()
    writer = ArchiveWriter(out.write, [head(entry) for entry in reader.prelude.collections], "6.0.5", "test")
    for database, name, raw in batches:
        writer.add(database, name, data(name, raw))
    for key in reader.totals:
        writer.end(*key)
    dump.write_bytes(gzip.compress(out.getvalue()))


def verify(params: dict[str, Any], **options: Any) -> ModuleResult:
    return run_module("mongo_restore", {**params, **options})


# --- what restores


def test_a_good_backup_restores(mongod: Mongod, params: dict[str, Any], backup: Path) -> None:
    with mongod.client() as client:
        before = client.list_database_names()
        sessions = client.admin.command("serverStatus")["opcounters"]["insert"]
        result = ok(verify(params))
        assert client.list_database_names() == before
        assert client.admin.command("serverStatus")["opcounters"]["insert"] == sessions
    assert not result.changed
    summary = result.result["summary"]
    assert summary["restored"] is True
    assert summary["path"] == str(backup)
    assert summary["manifest"] is True
    assert summary["files"] == 1
    assert summary["documents"] > 600
    assert summary["indexes"] >= 20
    assert summary["server_version"] == summary["backup_version"] == "6.0.5"
    assert result.result["differences"] == []
    seen = catalogue.look_at(str(backup))
    assert seen is not None
    assert seen.verification is not None
    assert seen.verification.restore_tested
    info = ok(run_module("backup_info", {"path": str(backup.parent), "state_dir": params["state_dir"]}))
    assert info.result["summary"]["restore_tested"] == 1


def test_check_mode_starts_nothing(params: dict[str, Any], backup: Path, state_dir: Path, tmp_path: Path) -> None:
    result = ok(run_module("mongo_restore", params, check=True, diff=True))
    assert not result.changed
    assert result.result["plan"][0]["action"] == "restore_test"
    assert result.result["summary"]["headline"].startswith("would restore")
    assert not state_dir.exists()
    # Before the first backup was made, a real run would have made one by then.
    for src in (tmp_path / "empty", tmp_path / "backups" / "20991231_000000.tar.gz"):
        result = ok(run_module("mongo_restore", {**params, "src": str(src)}, check=True))
        assert result.result["plan"][0]["assumes"] == "a verified backup made by this run"
    (tmp_path / "empty").mkdir()
    assert "no backup in this folder" in verify(params, src=str(tmp_path / "empty")).msg


def test_what_stock_mongodump_wrote_restores_and_counts_as_verified(params: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "shop" / NAME
    (folder / "uploads").mkdir(parents=True)
    (folder / "uploads" / "a.jpg").write_bytes(b"abc")
    shutil.copy(SAMPLE, folder / "mongo.archive.gz")
    (folder / "manifest.json").write_text('{"timestamp": "20261124_020000", "db": "sample"}')
    path = tmp_path / "shop" / f"{NAME}.tar.gz"
    subprocess.run(["tar", "czf", path, "-C", folder.parent, NAME], check=True)
    result = ok(verify(params, src=str(path)))
    assert result.result["summary"]["manifest"] is False
    assert result.result["summary"]["documents"] == 1000 + 100 + 10 + 3 + 1 + 1 + 1 + 1
    seen = catalogue.look_at(str(path))
    assert seen is not None
    assert seen.verification is not None
    assert seen.verification.database == "sample"
    assert seen.verification.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_encrypted(mongod: Mongod, params: dict[str, Any], good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "encrypted"
    folder.mkdir()
    (tmp_path / "passphrase").write_text("canary passphrase\n")
    path = folder / f"{good.name}.enc"
    command = ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-salt", "-in", good, "-out", path]
    subprocess.run([*command, "-pass", f"file:{tmp_path / 'passphrase'}"], check=True)
    assert "the backup is encrypted" in verify(params, src=str(path)).msg
    result = ok(verify(params, src=str(path), passphrase_file=str(tmp_path / "passphrase")))
    assert result.result["summary"]["restored"]
    assert "canary passphrase" not in result.output
    (tmp_path / "passphrase").write_text("wrong\n")
    result = verify(params, src=str(path), passphrase_file=str(tmp_path / "passphrase"))
    assert result.failed
    assert "passphrase is wrong" in result.msg


def test_assertions(params: dict[str, Any]) -> None:
    wanted: list[dict[str, Any]] = [
        {"collection": "plain", "filter": {"d": {"$gte": {"$date": "2026-01-01T00:00:00Z"}}}, "min": 500, "max": 500},
        {"collection": "ring"},
        {"collection": "empty", "min": 0, "max": 0},
    ]
    ok(verify(params, assertions=wanted))
    result = verify(params, assertions=[{"collection": "plain", "filter": {"n": 7}, "min": 2}, {"collection": "nope"}])
    assert result.failed
    assert len(result.result["differences"]) == 2
    assert 'plain: 1 documents match {"n": 7}, less than 2' in result.msg


def test_under_the_oldest_python_of_a_target(params: dict[str, Any], old_python: Path) -> None:
    result = ok(run_module("mongo_restore", params, python=old_python))
    assert result.result["summary"]["restored"]


def test_a_named_program(mongod: Mongod, params: dict[str, Any]) -> None:
    del params["uri"]
    program = f"/proc/{mongod.pid}/exe"
    assert ok(verify(params, mongod_program=os.path.realpath(program))).result["summary"]["restored"]
    assert "no program" in verify(params, mongod_program="/nonexistent/mongod").msg
    result = verify(params, mongod_program="/bin/false")
    assert result.failed
    assert "ended (exit status 1)" in result.msg


# --- what does not


def without_one_document(folder: Path) -> None:
    def shorter(name: str, raw: bytes) -> bytes:
        return raw[int.from_bytes(raw[:4], "little") :] if name == "geo" or name == "plain" else raw

    rewrite_dump(folder, data=shorter)


def with_another_document(folder: Path) -> None:
    rewrite_dump(folder, data=lambda name, raw: raw.replace(b"text 7\0", b"text 8\0"))


def without_an_index(folder: Path) -> None:
    def without(entry: CollectionMetadata) -> CollectionMetadata:
        metadata = json.loads(entry.metadata)
        metadata["indexes"] = [index for index in metadata["indexes"] if index["name"] != "n_1"]
        return CollectionMetadata(entry.db, entry.collection, entry.type, json.dumps(metadata))

    rewrite_dump(folder, head=without)


def without_an_upload(folder: Path) -> None:
    (folder / "uploads" / "a.jpg").unlink()


def with_a_fake_dump(folder: Path) -> None:
    (folder / "mongo.archive.gz").write_bytes(b"fake dump, 25 bytes long.")


def without_a_dump(folder: Path) -> None:
    (folder / "mongo.archive.gz").unlink()


def with_half_a_dump(folder: Path) -> None:
    dump = folder / "mongo.archive.gz"
    dump.write_bytes(gzip.compress(gzip.decompress(dump.read_bytes())[:-200_000]))


def with_a_unique_index_that_cannot_be_built(folder: Path) -> None:
    rewrite_dump(
        folder, data=lambda name, raw: raw + raw[: int.from_bytes(raw[:4], "little")] if name == "geo" else raw
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_one_document, "geo has 0 documents instead of 1"),
        (with_another_document, "plain has other content than was written"),
        (without_an_index, "plain: the indexes in the archive are not those of the manifest"),
        (without_an_upload, "component uploads has 0 files instead of 1"),
        (with_a_fake_dump, "damaged"),
        (without_a_dump, "no database dump"),
        (with_half_a_dump, "it ends"),
        (with_a_unique_index_that_cannot_be_built, "11000"),
    ],
)
def test_a_backup_that_is_not_what_it_says(
    params: dict[str, Any], backup: Path, change: Callable[[Path], None], message: str
) -> None:
    remake(backup, change)
    result = verify(params)
    assert result.failed
    assert message in result.msg + " ".join(result.result.get("differences", []))
    assert result.result["summary"]["restored"] is False
    seen = catalogue.look_at(str(backup))
    assert seen is not None
    assert not seen.verified


@pytest.mark.parametrize("content", [b"", b"fake dump, 25 bytes long.", b"\x1f\x8b\x08\0"])
def test_a_file_that_is_no_archive(params: dict[str, Any], backup: Path, content: bytes) -> None:
    backup.write_bytes(content)
    assert verify(params).failed


def test_an_empty_dump_is_no_backup(params: dict[str, Any], tmp_path: Path) -> None:
    out = io.BytesIO()
    writer = ArchiveWriter(out.write, [CollectionMetadata("shop", "orders")], "6.0.5", "test")
    writer.end("shop", "orders")
    path = tmp_path / f"{NAME}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo(f"{NAME}/mongo.archive.gz")
        data = gzip.compress(out.getvalue())
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    assert "not one document" in verify(params, src=str(path)).msg


# --- surroundings


def test_no_space(params: dict[str, Any], state_dir: Path) -> None:
    result = verify(params, min_free="900TiB")
    assert result.failed
    assert "not enough space for a restore test" in result.msg
    assert not state_dir.exists()


def test_nothing_listens_at_the_address(params: dict[str, Any]) -> None:
    result = verify(params, address="127.0.0.1:1")
    assert result.failed
    assert "no program for a throwaway mongod" in result.msg


def test_a_file_that_is_no_backup(params: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for src in (tmp_path / "notes.txt", tmp_path / "nope" / f"{NAME}.tar.gz"):
        assert "this is no backup" in verify(params, src=str(src)).msg


# --- killed


@pytest.mark.parametrize("boundary", [0, 1])
def test_killed_at_a_boundary(params: dict[str, Any], boundary: int) -> None:
    assert run_module("mongo_restore", params, kill_at=boundary).rc == -signal.SIGKILL
    assert not ok(verify(params)).changed


def test_killed_while_restoring(params: dict[str, Any], state_dir: Path) -> None:
    process = start_module("mongo_restore", params)
    wait_for(lambda: list(state_dir.glob("restore-test-*/db/WiredTiger.wt")) and servers(state_dir))
    process.kill()
    finish_module(process)
    # The kernel ends the server with the module.
    wait_for(lambda: not servers(state_dir))
    (left,) = state_dir.glob("restore-test-*")
    would = ok(run_module("mongo_restore", params, check=True))
    assert would.changed
    assert left.exists()
    result = ok(verify(params))
    assert result.changed
    assert {action["action"] for action in result.result["actions"]} == {"remove_leftover", "restore_test"}
    assert not left.exists()
    assert not ok(verify(params)).changed
