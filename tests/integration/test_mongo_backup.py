# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mongo_backup against a real mongod: what is in the file, and that nothing half-done ever looks like a backup."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import bson
import pymongo
import pytest
from bson import json_util
from bson.raw_bson import RawBSONDocument

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.lease import boot_id
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.processes import read_process
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.archive import ArchiveReader
from tests.conftest import lacking
from tests.sandbox.mongod import Mongod
from tests.support.kill import kill_at_every_change
from tests.support.modules import ModuleResult, finish_module, run_module, start_module

CODEC = bson.CodecOptions(
    datetime_conversion=bson.DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace", tz_aware=True
)
SAMPLES = Path(__file__).parents[1] / "samples"


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.002)


def fill_with_every_kind(database: Any) -> None:
    """Every kind of collection and index that a server of this version has."""
    plain = database.plain
    plain.insert_many([{"n": i, "s": f"text {i}", "d": datetime(2026, 1, 1, tzinfo=timezone.utc)} for i in range(500)])
    # The server stores what is not UTF-8 as it gets it.
    plain.insert_one(
        RawBSONDocument(bson.encode({"_id": "odd", "n": -2, "z": "text"}).replace(b"text", b"\xff\xfe\xfd\xfc"))
    )
    plain.insert_one({"n": -1, "far": bson.DatetimeMS(2**60), "i64": bson.Int64(5), "dec": bson.Decimal128("1.10")})
    plain.create_index("n", unique=True)
    plain.create_index([("s", "text")], default_language="none")
    plain.create_index("d", expireAfterSeconds=1_000_000_000)
    plain.create_index([("n", 1), ("d", -1)], partialFilterExpression={"n": {"$gt": 10}})
    plain.create_index([("$**", 1)])
    plain.create_index([("_id", "hashed")])
    plain.create_index("s", name="s_fr", collation={"locale": "fr", "strength": 2})
    plain.create_index("x", hidden=True, sparse=True)
    database.geo.insert_one({"p": {"type": "Point", "coordinates": [1.0, 2.0]}})
    database.geo.create_index([("p", "2dsphere")])
    database.create_collection("ring", capped=True, size=65536, max=100)
    database.ring.insert_many([{"i": i} for i in range(150)])
    database.create_collection("clustered", clusteredIndex={"key": {"_id": 1}, "unique": True})
    database.clustered.insert_many([{"_id": i} for i in (3, 1, 2)])
    database.create_collection("strict", validator={"$jsonSchema": {"required": ["n"]}}, validationLevel="moderate")
    database.strict.insert_one({"n": 1})
    database.strict.with_options().database.command(
        "insert", "strict", documents=[{"_id": 2}], bypassDocumentValidation=True
    )
    database.create_collection("top", viewOn="plain", pipeline=[{"$match": {"n": {"$gt": 400}}}])
    database.create_collection("metrics", timeseries={"timeField": "ts", "metaField": "m", "granularity": "minutes"})
    database.metrics.insert_many(
        [{"ts": datetime(2026, 1, 1, 0, i % 60, tzinfo=timezone.utc), "m": i % 3} for i in range(200)]
    )
    database.metrics.create_index("m")
    database.create_collection("de", collation={"locale": "de"})
    database.create_collection("empty")
    database["odd/na me%é.x"].insert_one({"x": 1})
    database.big.insert_many([{"_id": i, "x": os.urandom(3_000_000)} for i in range(2)])


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    directory = tmp_path / "shop" / "uploads"
    (directory / "products").mkdir(parents=True)
    (directory / "products" / "a.jpg").write_bytes(os.urandom(20_000))
    (directory / "note.txt").write_text("text\n" * 100)
    (tmp_path / "shop" / ".env").write_text("A=1\n")
    return directory


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    directory = tmp_path / "dest"
    directory.mkdir()
    return directory


@pytest.fixture
def params(mongod: Mongod, mongo_database: str, uploads: Path, dest: Path, state_dir: Path) -> dict[str, Any]:
    return {
        "uri": mongod.uri_for(mongo_database),
        "dest": str(dest),
        "state_dir": str(state_dir),
        "min_free": "1MiB",
        "include": [
            {"name": "uploads", "path": str(uploads)},
            {"name": ".env", "path": str(uploads.parent / ".env")},
            {"name": "labels", "path": str(uploads.parent / "labels"), "optional": True},
        ],
    }


@pytest.fixture(scope="module")
def big_database(mongod: Mongod) -> Iterator[str]:
    """Some 40 MB that do not compress: long enough to be interrupted, too large for a small disk."""
    name = "test_big_backup"
    with mongod.client() as client:
        client[name].blobs.insert_many([{"_id": i, "x": os.urandom(20_000)} for i in range(2000)])
        yield name
        client.drop_database(name)


def archives(dest: Path) -> list[Path]:
    return sorted(path for path in dest.iterdir() if catalogue.parse_name(path.name))


def dump_of(path: Path) -> ArchiveReader:
    with tarfile.open(path, "r:gz") as tar:
        source = tar.extractfile(f"{path.name.split('.')[0]}/mongo.archive.gz")
        assert source is not None
        reader = ArchiveReader(io.BytesIO(gzip.decompress(source.read())), path.name)
        for batch in reader.batches():
            bson.decode_all(batch.data, CODEC)
    return reader


def ok(result: ModuleResult) -> ModuleResult:
    assert not result.failed, result.msg
    return result


# --- what is in it


@pytest.mark.every_server
def test_everything_is_in_the_backup_in_stock_format(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], uploads: Path, dest: Path, tmp_path: Path
) -> None:
    with mongod.client() as client:
        fill_with_every_kind(client[mongo_database])
        result = ok(run_module("mongo_backup", params))
        (path,) = archives(dest)
        assert result.changed
        summary = result.result["summary"]
        assert summary["path"] == str(path)
        assert summary["bytes"] == path.stat().st_size
        assert summary["verified"] is True
        assert summary["missing"] == ["labels"]
        assert summary["consistency"] == "none"
        assert path.stat().st_mode & 0o777 == 0o600

        target = tmp_path / "unpacked"
        target.mkdir()
        subprocess.run(["tar", "xzf", path, "-C", target], check=True, capture_output=True)
        directory = target / path.name.removesuffix(".tar.gz")
        assert sorted(entry.name for entry in directory.iterdir()) == [
            ".env",
            "manifest.json",
            "mongo.archive.gz",
            "uploads",
        ]
        subprocess.run(["diff", "-r", uploads, directory / "uploads"], check=True)
        subprocess.run(["gunzip", "-t", directory / "mongo.archive.gz"], check=True)

        reader = dump_of(path)
        database = client[mongo_database]
        listed = {info["name"]: info for info in database.list_collections() if not info["name"].startswith("system.")}
        assert {entry.collection for entry in reader.prelude.collections} == set(listed)
        manifest = json.loads((directory / "manifest.json").read_text())
        counted = {entry["name"]: entry["documents"] for entry in manifest["collections"]}
        documents = 0
        for entry in reader.prelude.collections:
            totals = reader.totals[(mongo_database, entry.data_collection)]
            wanted = 0 if entry.type == "view" else database[entry.data_collection].count_documents({})
            assert totals.documents == wanted == counted[entry.collection]
            documents += wanted
            metadata = json_util.loads(entry.metadata)
            assert metadata.get("options", {}) == listed[entry.collection].get("options", {})
            if entry.type != "view":
                assert metadata["indexes"] == [dict(index) for index in database[entry.collection].list_indexes()]
        assert summary["documents"] == documents


@pytest.mark.every_server
def test_the_head_of_the_archive_has_the_shape_of_stock_mongodump_s(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path
) -> None:
    """Keys, their order and their types for each kind of collection, against an archive made by mongodump."""

    def shape(reader: ArchiveReader) -> dict[str, list[str]]:
        shapes = {}
        for entry in reader.prelude.collections:
            metadata = json.loads(entry.metadata)
            kinds = [f"{key}:{type(value).__name__}" for key, value in metadata.items()]
            shapes[f"{entry.type} {entry.collection}"] = kinds
        return shapes

    with gzip.open(SAMPLES / "mongodump-sample.archive.gz") as stream:
        sample = ArchiveReader(stream)
        sample.read_all()
    with mongod.client() as client:
        fill_with_every_kind(client[mongo_database])
    ok(run_module("mongo_backup", params))
    ours, theirs = shape(dump_of(archives(dest)[0])), shape(sample)
    for name in ("plain", "ring", "clustered", "strict", "geo", "de", "empty", "big"):
        assert ours[f"collection {name}"] == theirs[f"collection {name}"]
    assert ours["view top"] == theirs["view top"]
    assert ours["timeseries metrics"] == theirs["timeseries metrics"]


def test_a_fresh_one_is_reused_until_it_changes(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path
) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_many([{"n": i} for i in range(10)])
    ok(run_module("mongo_backup", params))
    second = ok(run_module("mongo_backup", params))
    assert not second.changed
    assert second.result["summary"]["reused"] is True
    assert second.result["summary"]["documents"] == 10
    assert len(archives(dest)) == 1
    (path,) = archives(dest)
    with path.open("ab") as handle:
        handle.write(b"x")
    third = ok(run_module("mongo_backup", params))
    assert third.changed
    assert "has changed since it was verified" in third.result["plan"][0]["reason"]
    assert len(archives(dest)) == 2


def test_a_tagged_one_is_reused_and_kept_for_its_tags(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path
) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_many([{"n": i} for i in range(10)])
    first = ok(run_module("mongo_backup", params))
    tagged = {**params, "tags": ["pre-update", "by-hand"]}
    # A fresh one without the tags is no such backup.
    told = ok(run_module("mongo_backup", tagged, check=True))
    assert told.changed and "is not tagged by-hand, pre-update" in told.result["plan"][0]["reason"]
    second = ok(run_module("mongo_backup", tagged))
    assert second.changed and second.result["plan"][0]["reason"] == told.result["plan"][0]["reason"]
    path = Path(second.result["summary"]["path"])
    assert catalogue.look_at(str(path)).tags == {"pre-update", "by-hand"}  # type: ignore[union-attr]
    assert not ok(run_module("mongo_backup", {**params, "tags": ["by-hand"]})).changed
    assert not ok(run_module("mongo_backup", params)).changed
    # The newest one of all has no tags.
    third = ok(run_module("mongo_backup", {**params, "fresh_within": "0s"}))
    known = ok(run_module("backup_info", {"path": str(dest), "state_dir": params["state_dir"]})).result["backups"]
    assert [entry["tags"] for entry in known] == [[], ["by-hand", "pre-update"], []]
    rules = {"path": str(dest), "state_dir": params["state_dir"], "keep_last": 1, "keep_tags": ["pre-update"]}
    ok(run_module("backup_prune", rules))
    left = {Path(result.result["summary"]["path"]) for result in (second, third)}
    assert set(archives(dest)) == left
    assert Path(first.result["summary"]["path"]) not in left
    for wrong in ("a,b", " "):
        refused = run_module("mongo_backup", {**params, "tags": [wrong]})
        assert refused.failed and "tag" in refused.msg


def test_check_mode_tells_and_touches_nothing(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path, state_dir: Path
) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_many([{"n": i, "x": "y" * 100} for i in range(1000)])
    leftover = dest / ".20200101_000000.tar.gz.miniecom-partial"
    leftover.write_bytes(b"x" * 100)
    params["dest"] = str(dest / "deeper")
    would = ok(run_module("mongo_backup", params, check=True, diff=True))
    assert would.changed
    assert not (dest / "deeper").exists()
    params["dest"] = str(dest)
    would = ok(run_module("mongo_backup", params, check=True, diff=True))
    assert [action["action"] for action in would.result["plan"]] == ["remove_leftover", "back_up"]
    assert would.result["summary"]["headline"].startswith("would back up about 1000 documents")
    assert "back_up" in would.result["diff"]["after"]
    assert os.listdir(dest) == [leftover.name]
    assert not state_dir.exists()
    real = ok(run_module("mongo_backup", params))
    assert [action["action"] for action in real.result["plan"]] == ["remove_leftover", "back_up"]
    assert not leftover.exists()
    again = ok(run_module("mongo_backup", params, check=True))
    assert not again.changed
    assert "reused" in again.result["summary"]["headline"]


def test_leftovers_are_ours_alone(mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_one({})
    foreign = [".x.miniecom-partial", "20200101_000000.tar.gz.part", ".20200101_000000.tar.gz.tmp", "notes.txt"]
    for name in foreign:
        (dest / name).write_text("keep me")
    (dest / ".20200101_000000.tar.gz.verified.json").write_text("{}")
    ok(run_module("mongo_backup", params))
    assert set(foreign) <= set(os.listdir(dest))
    assert not (dest / ".20200101_000000.tar.gz.verified.json").exists()


@pytest.mark.parametrize("compression", ["small", "none"])
def test_other_compressions(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path, compression: str
) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_many([{"n": i} for i in range(1000)])
    ok(run_module("mongo_backup", {**params, "compression": compression, "check": "checksums"}))
    assert dump_of(archives(dest)[0]).totals[(mongo_database, "orders")].documents == 1000


def test_encrypted(mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path, tmp_path: Path) -> None:
    passphrase = "canary passphrase 'with' $quotes"
    (tmp_path / "passphrase").write_text(passphrase + "\n")
    params["passphrase_file"] = str(tmp_path / "passphrase")
    with mongod.client() as client:
        client[mongo_database].orders.insert_many([{"n": i} for i in range(1000)])
    result = ok(run_module("mongo_backup", params))
    assert passphrase not in result.output
    (path,) = archives(dest)
    assert path.name.endswith(".tar.gz.enc")
    command = [
        "openssl",
        "enc",
        "-d",
        "-aes-256-cbc",
        "-pbkdf2",
        "-in",
        path,
        "-pass",
        f"file:{tmp_path / 'passphrase'}",
    ]
    (tmp_path / "plain").mkdir()
    plain = tmp_path / "plain" / path.name.removesuffix(".enc")
    plain.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    assert dump_of(plain).totals[(mongo_database, "orders")].documents == 1000
    assert not ok(run_module("mongo_backup", params)).changed


def test_under_the_oldest_python_of_a_target(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path, old_python: Path
) -> None:
    with mongod.client() as client:
        fill_with_every_kind(client[mongo_database])
    ok(run_module("mongo_backup", params, python=old_python))
    ours = dump_of(archives(dest)[0]).totals
    ok(run_module("mongo_backup", {**params, "fresh_within": "0"}))
    theirs = dump_of(archives(dest)[-1]).totals
    assert {key: value.sha256 for key, value in ours.items()} == {key: value.sha256 for key, value in theirs.items()}


def test_a_fresh_one_that_lacks_something_is_not_reused(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], uploads: Path, tmp_path: Path
) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_one({})
    ok(run_module("mongo_backup", {**params, "check": "checksums"}))
    assert not ok(run_module("mongo_backup", {**params, "check": "checksums"})).changed
    thorough = ok(run_module("mongo_backup", params))
    assert "was not checked document by document" in thorough.result["plan"][0]["reason"]
    assert not ok(run_module("mongo_backup", params)).changed
    consistent = ok(run_module("mongo_backup", {**params, "consistency": "locked"}))
    assert "has the consistency none" in consistent.result["plan"][0]["reason"]
    (tmp_path / "moved").mkdir()
    params["include"][0]["path"] = str(tmp_path / "moved")
    moved = ok(run_module("mongo_backup", params))
    assert "does not say that its uploads came from" in moved.result["plan"][0]["reason"]


def test_what_was_left_out_is_told(mongod: Mongod, mongo_database: str, params: dict[str, Any], uploads: Path) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_one({})
    for number in range(25):
        os.mkfifo(uploads / f"pipe{number:02}")
    warnings = [str(entry) for entry in ok(run_module("mongo_backup", params)).result["warnings"]]
    told = [line for line in warnings if "left out, neither file nor directory nor link" in line]
    assert len(told) == 20
    assert f"{uploads}/pipe00" in told[0]
    assert any("5 more notes stand in the manifest" in line for line in warnings)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_names_keep_their_bytes_under_every_locale(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], uploads: Path, dest: Path, locale: str
) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_one({})
    wanted = [b"\xc3\xa9.txt", b"\xff\xfe.txt"]
    for name in wanted:
        Path(os.fsdecode(os.fsencode(uploads) + b"/" + name)).write_text("x")
    environment = {"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    ok(run_module("mongo_backup", params, env=environment))
    listed = subprocess.run(
        ["tar", "tzf", archives(dest)[0], "--quoting-style=literal"], check=True, capture_output=True
    ).stdout.splitlines()
    for name in wanted:
        assert any(line.endswith(b"/" + name) for line in listed), listed


# --- bad input


def test_a_misspelt_or_empty_database_never_gives_a_backup(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path
) -> None:
    result = run_module("mongo_backup", params)
    assert result.failed
    assert mongo_database in result.msg
    with mongod.client() as client:
        client[mongo_database].create_collection("orders")
    result = run_module("mongo_backup", params)
    assert result.failed
    assert "is empty" in result.msg
    assert run_module("mongo_backup", {**params, "database": "admin"}).failed
    assert os.listdir(dest) == []


def test_a_wrong_password(mongod: Mongod, params: dict[str, Any], dest: Path) -> None:
    params["uri"] = f"mongodb://root:wrong-canary-password@{mongod.address}/shop?authSource=admin"
    result = run_module("mongo_backup", params)
    assert result.failed
    assert "18 AuthenticationFailed" in result.msg
    assert "wrong-canary-password" not in result.output
    assert os.listdir(dest) == []


@pytest.mark.every_server
def test_a_user_who_may_not_read_everything(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path
) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_one({})
        client[mongo_database].secrets.insert_one({})
        privileges: list[dict[str, Any]] = [
            {
                "resource": {"db": mongo_database, "collection": ""},
                "actions": ["listCollections", "listIndexes", "collStats"],
            },
            {"resource": {"db": mongo_database, "collection": "orders"}, "actions": ["find"]},
        ]
        client[mongo_database].command("createRole", "half", privileges=privileges, roles=[])
        client[mongo_database].command("createUser", "half", pwd="canary-half", roles=["half"])
    params["uri"] = f"mongodb://half:canary-half@{mongod.address}/{mongo_database}"
    result = run_module("mongo_backup", params)
    assert result.failed
    assert f"{mongo_database}.secrets" in result.msg
    assert "13" in result.msg
    assert os.listdir(dest) == []


def test_no_password_in_any_file_or_output(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path, state_dir: Path
) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_one({})
    params["_ansible_verbosity"] = 4
    result = ok(run_module("mongo_backup", params, diff=True))
    assert mongod.root_password not in result.output
    for path in [*dest.iterdir(), *(path for path in state_dir.rglob("*") if path.is_file())]:
        assert mongod.root_password.encode() not in path.read_bytes()
    with tarfile.open(archives(dest)[0]) as tar:
        for member in tar:
            source = tar.extractfile(member)
            assert source is None or mongod.root_password.encode() not in source.read()


def test_what_is_missing_fails_before_anything_is_written(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path
) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_one({})
    params["include"][2]["optional"] = False
    result = run_module("mongo_backup", params)
    assert result.failed
    assert "labels" in result.msg
    assert os.listdir(dest) == []


def test_a_backup_never_holds_the_backups(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path
) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_one({})
    params["include"][0]["path"] = str(dest.parent)
    result = run_module("mongo_backup", params)
    assert result.failed
    assert "inside a directory that is to be backed up" in result.msg
    assert os.listdir(dest) == []


@pytest.mark.parametrize("name", ["mongo.archive.gz", "manifest.json", "..", "a/b", ""])
def test_names_that_would_break_the_layout(params: dict[str, Any], name: str) -> None:
    params["include"][0]["name"] = name
    assert "not usable" in run_module("mongo_backup", params).msg


# --- full disks


def test_a_full_disk_is_noticed_before(mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_one({})
    result = run_module("mongo_backup", {**params, "min_free": "900TiB"})
    assert result.failed
    assert "not enough space" in result.msg
    assert os.listdir(dest) == []


@pytest.mark.root
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_real_full_disk(
    mongod: Mongod, big_database: str, params: dict[str, Any], dest: Path, tmp_path: Path, encrypted: bool
) -> None:
    """A tmpfs that is too small, in a mount namespace of its own."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        lacking("a full disk needs root and unshare, to mount a small tmpfs")
    if encrypted:
        (tmp_path / "passphrase").write_text("secret\n")
        params["passphrase_file"] = str(tmp_path / "passphrase")
    size = 60 if encrypted else 30
    wrapper = tmp_path / "python-on-a-small-disk"
    wrapper.write_text(
        "#!/bin/sh\n"
        "exec unshare -m sh -c '"
        f"mount -t tmpfs -o size={size}m tmpfs {dest} && printf old > {dest}/20200101_000000.tar.gz || exit 99; "
        f'{sys.executable} "$@"; rc=$?; ls -A {dest} > {tmp_path}/listing; exit $rc\' sh "$@"\n'
    )
    wrapper.chmod(0o755)
    params.update(uri=mongod.uri_for(big_database), min_free="0")
    result = run_module("mongo_backup", params, python=wrapper)
    assert result.failed
    assert "is full" in result.msg
    assert "ENOSPC" in result.msg
    assert result.result["insufficient_space"] is True
    assert (tmp_path / "listing").read_text().split() == ["20200101_000000.tar.gz"]
    # With a reserve it stops before the disk is full.
    result = run_module("mongo_backup", {**params, "min_free": "2MiB"}, python=wrapper)
    assert result.failed
    assert "min_free" in result.msg
    assert result.result["insufficient_space"] is True


# --- killed, and two at once


@pytest.mark.parametrize("boundary", [0, 1])
def test_killed_at_a_boundary(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path, boundary: int
) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_many([{"n": i} for i in range(10)])
    killed = run_module("mongo_backup", params, kill_at=boundary)
    assert killed.rc == -signal.SIGKILL
    assert len(archives(dest)) == boundary
    again = ok(run_module("mongo_backup", params))
    assert again.changed == (boundary == 0)
    assert len(archives(dest)) == 1
    assert again.result["summary"]["verified"]


def test_killed_at_every_change(mongod: Mongod, mongo_database: str, params: dict[str, Any], tmp_path: Path) -> None:
    """Whenever it dies: what has the name of a backup is a whole one, and the next run leaves one verified and no remains."""
    with mongod.client() as client:
        client[mongo_database].orders.insert_many([{"n": i} for i in range(10)])
    worlds = tmp_path / "worlds"
    worlds.mkdir()

    def call(world: Path) -> tuple[str, dict[str, Any]]:
        (world / "dest").mkdir(exist_ok=True)
        return "mongo_backup", {**params, "dest": world / "dest", "state_dir": world / "state"}

    def inspect(world: Path) -> None:
        for path in archives(world / "dest"):
            assert dump_of(path).totals[(mongo_database, "orders")].documents == 10
        again = ok(run_module(*call(world)))
        assert again.result["summary"]["verified"]
        *_older, newest = archives(world / "dest")
        seen = catalogue.look_at(str(newest))
        assert seen is not None and seen.verified
        left = {path.name for path in (world / "dest").iterdir()} - {path.name for path in archives(world / "dest")}
        assert left <= {f".{path.name}.verified.json" for path in archives(world / "dest")}
        assert not (world / "state" / "leftovers").exists() or not os.listdir(world / "state" / "leftovers")
        assert not ok(run_module(*call(world))).changed

    assert kill_at_every_change(worlds, call, inspect) > 3


@pytest.mark.parametrize("encrypted", [False, True])
def test_killed_while_writing(
    mongod: Mongod,
    big_database: str,
    params: dict[str, Any],
    dest: Path,
    state_dir: Path,
    tmp_path: Path,
    encrypted: bool,
) -> None:
    params["uri"] = mongod.uri_for(big_database)
    if encrypted:
        (tmp_path / "passphrase").write_text("secret\n")
        params["passphrase_file"] = str(tmp_path / "passphrase")
    process = start_module("mongo_backup", params)

    def partial() -> bool:
        return any(
            path.name.endswith(".miniecom-partial") and path.stat().st_size > 1_000_000 for path in dest.iterdir()
        )

    wait_for(partial)
    process.kill()
    finish_module(process)
    assert archives(dest) == []
    left = os.listdir(dest)
    assert len(left) == 1
    result = ok(run_module("mongo_backup", params))
    assert [action["status"] for action in result.result["actions"]] == ["done", "done"]
    assert left[0] not in os.listdir(dest)
    (path,) = archives(dest)
    assert sorted(os.listdir(dest)) == sorted([path.name, f".{path.name}.verified.json"])
    assert not state_dir.exists()


def test_a_killed_run_is_cleared_up_by_the_next_run(
    mongod: Mongod, big_database: str, params: dict[str, Any], dest: Path, state_dir: Path
) -> None:
    begin = {"state": "begun", "name": "test", "state_dir": str(state_dir)}
    run_id = ok(run_module("maintenance_run", begin)).result["run_id"]
    params.update(uri=mongod.uri_for(big_database), run_id=run_id)
    process = start_module("mongo_backup", params)
    wait_for(lambda: any(path.stat().st_size > 1_000_000 for path in dest.iterdir()))
    process.kill()
    finish_module(process)
    (left,) = dest.iterdir()
    second = ok(run_module("maintenance_run", {**begin, "takeover": True}))
    assert str(left) in " ".join(second.result["cleaned"])
    assert os.listdir(dest) == []
    params["run_id"] = second.result["run_id"]
    ok(run_module("mongo_backup", params))
    assert len(archives(dest)) == 1
    assert list((state_dir / "leftovers").iterdir()) == []


def test_a_second_one_waits_its_turn(mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_one({})
    with catalogue.directory_lock(str(dest)) as free:
        assert free
        result = run_module("mongo_backup", params)
    assert result.failed
    assert "another backup is being written" in result.msg
    assert archives(dest) == []


def test_two_at_once_never_harm_each_other(
    mongod: Mongod, big_database: str, params: dict[str, Any], dest: Path
) -> None:
    params["uri"] = mongod.uri_for(big_database)
    processes = [start_module("mongo_backup", params) for _count in range(2)]
    results = [finish_module(process) for process in processes]
    assert sum(result.changed for result in results) == 1
    for result in results:
        assert not result.failed or "another backup is being written" in result.msg
    (path,) = archives(dest)
    seen = catalogue.look_at(str(path))
    assert seen is not None
    assert seen.verified
    assert dump_of(path).totals[(big_database, "blobs")].documents == 2000


# --- consistency


class Writer:
    """Writes to the first collection, then the same to the last: at any one moment they differ by one at most."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.written = 0

    def _run(self) -> None:
        while not self._stop.is_set():
            self._database.a_first.insert_one({"n": self.written})
            self._database.z_last.insert_one({"n": self.written})
            self.written += 1

    def __enter__(self) -> Writer:
        self._thread.start()
        wait_for(lambda: self.written > 20)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()


def difference(path: Path, database: str) -> int:
    totals = dump_of(path).totals
    return totals[(database, "z_last")].documents - totals[(database, "a_first")].documents


@pytest.fixture(scope="module")
def replica_set(tmp_path_factory: pytest.TempPathFactory, mongod_version: str) -> Iterator[Mongod]:
    with Mongod(tmp_path_factory.mktemp("replica"), replica_set="rs0", version=mongod_version) as server:
        yield server


@pytest.mark.every_server
def test_a_replica_set_is_read_as_of_one_moment(replica_set: Mongod, params: dict[str, Any], dest: Path) -> None:
    with replica_set.client() as client:
        database = client.shop
        database.middle.insert_many([{"x": os.urandom(20_000)} for _count in range(1000)])
        database.create_collection("m_ring", capped=True, size=10_000)
        database.m_ring.insert_one({"n": 1})
        params["uri"] = replica_set.uri_for("shop")
        with Writer(database):
            result = ok(run_module("mongo_backup", params))
        assert result.result["summary"]["consistency"] == "snapshot"
        assert result.result["summary"]["headline"].endswith(", consistency snapshot"), "the table shows the headline"
        assert difference(archives(dest)[0], "shop") in (-1, 0)
        assert dump_of(archives(dest)[0]).totals[("shop", "m_ring")].documents == 1


@pytest.mark.every_server
def test_a_snapshot_that_the_server_gives_up_is_made_again_without_one(
    replica_set: Mongod, params: dict[str, Any], dest: Path
) -> None:
    params["uri"] = replica_set.uri_for("lost")
    with replica_set.client() as client:
        client.lost.middle.insert_many([{"x": os.urandom(20_000)} for _count in range(3000)])
        client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=0)
        try:
            with Writer(client.lost):
                refused = run_module("mongo_backup", {**params, "consistency": "snapshot"})
                result = ok(run_module("mongo_backup", params))
        finally:
            client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=300)
    assert refused.failed
    assert "239 SnapshotTooOld" in refused.msg
    assert result.result["summary"]["consistency"] == "none"
    assert "Starting again without a snapshot" in str(result.result["warnings"])
    assert len(archives(dest)) == 1


@pytest.mark.every_server
def test_a_standalone_has_no_snapshot(mongod: Mongod, big_database: str, params: dict[str, Any], dest: Path) -> None:
    params.update(uri=mongod.uri_for(big_database), consistency="snapshot")
    result = run_module("mongo_backup", params)
    assert result.failed
    assert "snapshot needs a replica set" in result.msg
    assert os.listdir(dest) == []


def locked(client: Any) -> bool:
    return bool(client.admin.command("currentOp").get("fsyncLock"))


@pytest.mark.every_server
def test_locked_against_writes_meanwhile(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], dest: Path
) -> None:
    params.update(consistency="locked", lock_timeout="60s")
    with mongod.client() as client:
        database = client[mongo_database]
        database.middle.insert_many([{"x": os.urandom(20_000)} for _count in range(500)])
        with Writer(database):
            result = ok(run_module("mongo_backup", params))
            assert not locked(client)
        assert result.result["summary"]["consistency"] == "locked"
        assert difference(archives(dest)[0], mongo_database) in (-1, 0)


@pytest.mark.every_server
def test_the_lock_ends_when_its_time_is_over(
    mongod: Mongod, big_database: str, params: dict[str, Any], dest: Path
) -> None:
    params.update(uri=mongod.uri_for(big_database), consistency="locked", lock_timeout="0")
    result = run_module("mongo_backup", params)
    assert result.failed
    assert "was not finished when the lock's time" in result.msg
    assert os.listdir(dest) == []
    with mongod.client() as client:
        assert not locked(client)


@pytest.mark.every_server
def test_a_killed_run_leaves_no_lock(mongod: Mongod, big_database: str, params: dict[str, Any]) -> None:
    params.update(uri=mongod.uri_for(big_database), consistency="locked", lock_timeout="300s")
    with mongod.client() as client:
        process = start_module("mongo_backup", params)
        wait_for(lambda: locked(client))
        process.kill()
        finish_module(process)
        wait_for(lambda: not locked(client))
        assert client[big_database].other.insert_one({}).acknowledged
        client[big_database].other.drop()


def test_the_guardian_releases_its_own_lock_alone_when_the_module_s_whole_group_is_killed(
    mongod: Mongod, big_database: str, params: dict[str, Any], state_dir: Path, tmp_path: Path
) -> None:
    """As Ansible kills a module whose async limit is over; an administrator's lock, that stands as well, is not touched."""
    params.update(uri=mongod.uri_for(big_database), consistency="locked", lock_timeout="300s")
    leader = tmp_path / "leader"
    leader.write_text(f'#!/bin/sh\nexec setsid {sys.executable} "$@"\n')
    leader.chmod(0o755)

    def notes() -> list[Path]:
        return list((state_dir / "leftovers").glob("*.json"))

    with mongod.client() as client:
        client.admin.command("fsync", lock=True)
        try:
            process = start_module("mongo_backup", params, python=leader)
            wait_for(notes)
            keeper = json.loads(notes()[0].read_text())["facts"]["keeper"]["pid"]
            assert os.getpgid(process.pid) == process.pid
            assert os.getsid(keeper) == keeper, "a session of its own"
            # What is read comes after the lock.
            wait_for(lambda: any(path.stat().st_size > 10_000 for path in Path(params["dest"]).iterdir()))
            os.killpg(process.pid, signal.SIGKILL)
            finish_module(process)
            wait_for(lambda: not notes() and not Path(f"/proc/{keeper}").exists())
            assert locked(client)
        finally:
            assert unlock_all(client) == 1, "the administrator's"
        assert client[big_database].other.insert_one({}).acknowledged
        client[big_database].other.drop()


def lock_note(mongod: Mongod, state_dir: Path, name: str = "0123", **changes: Any) -> Path:
    """A note as a run leaves it whose module and keeper were both killed."""
    note = {
        "id": name,
        "kind": "fsync_lock",
        "run_id": None,
        "at": "2099-01-01T00:00:00Z",
        "boot": boot_id(),
        "process": {"pid": 999999998, "start_time": 1},
        "facts": {
            "address": mongod.address,
            "env_file": None,
            "keeper": {"pid": 999999999, "start_time": 1},
            **changes.pop("facts", {}),
        },
        **changes,
    }
    path = state_dir / "leftovers" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(note))
    return path


def unlock_all(client: Any) -> int:
    count = 0
    while locked(client):
        client.admin.command("fsyncUnlock")
        count += 1
    return count


def test_a_lock_whose_keeper_was_killed_too_is_released_by_the_next_call(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], state_dir: Path
) -> None:
    lock_note(mongod, state_dir)
    lock_note(mongod, state_dir, "0124")
    with mongod.client() as client:
        client[mongo_database].orders.insert_one({})
        client.admin.command("fsync", lock=True)
        client.admin.command("fsync", lock=True)  # an administrator's, at the same time
        try:
            result = ok(run_module("mongo_backup", params))
            assert [action["action"] for action in result.result["plan"]] == ["release_lock", "back_up"]
        finally:
            assert unlock_all(client) == 1, "one of the two was ours"
    assert list((state_dir / "leftovers").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "stays", "warned"),
    [
        ({"boot": "of another boot"}, False, False),
        ({"at": "2001-01-01T00:00:00Z"}, False, False),  # the server was started since
        ({"facts": {"keeper": None}}, True, True),
        ({"facts": {"keeper": "this process"}}, True, False),
    ],
)
@pytest.mark.every_server
def test_a_lock_that_cannot_be_ours_is_left_alone(
    mongod: Mongod,
    mongo_database: str,
    params: dict[str, Any],
    state_dir: Path,
    changes: dict[str, Any],
    stays: bool,
    warned: bool,
) -> None:
    if changes.get("facts", {}).get("keeper"):
        own = read_process(os.getpid())
        assert own is not None
        changes = {"facts": {"keeper": {"pid": own.pid, "start_time": own.start_time}}}
    note = lock_note(mongod, state_dir, **changes)
    with mongod.client() as client:
        client[mongo_database].orders.insert_one({})
        client.admin.command("fsync", lock=True)
        try:
            would = ok(run_module("mongo_backup", params, check=True))
            assert note.exists()
            result = ok(run_module("mongo_backup", params))
        finally:
            assert unlock_all(client) == 1
    assert [action["action"] for action in result.result["plan"]] == ["back_up"]
    assert would.result["plan"][0]["action"] == "back_up"
    assert note.exists() is stays
    assert ("does not name its keeper" in str(result.result.get("warnings"))) is warned


def test_a_note_does_not_outlive_its_lock(
    mongod: Mongod, big_database: str, params: dict[str, Any], state_dir: Path
) -> None:
    """Else the next call would take an administrator's lock for it."""
    params.update(uri=mongod.uri_for(big_database), consistency="locked", lock_timeout="300s")
    with mongod.client() as client:
        process = start_module("mongo_backup", params)
        wait_for(lambda: locked(client))
        assert len(list((state_dir / "leftovers").glob("*.json"))) == 1
        process.kill()
        finish_module(process)
        wait_for(lambda: not locked(client))
        wait_for(lambda: not list((state_dir / "leftovers").glob("*.json")))


def test_a_lock_of_somebody_else_is_left_alone(mongod: Mongod, mongo_database: str, params: dict[str, Any]) -> None:
    with mongod.client() as client:
        client[mongo_database].orders.insert_one({})
        client.admin.command("fsync", lock=True)
        try:
            result = ok(run_module("mongo_backup", params))
            assert [action["action"] for action in result.result["plan"]] == ["back_up"]
            assert locked(client)
        finally:
            client.admin.command("fsyncUnlock")


def test_the_driver_is_the_one_under_test() -> None:
    assert pymongo.version_tuple >= (4, 10)


def test_who_may_not_read_the_oplog_is_told_before_anything_is_done(
    tmp_path: Path, mongod_version: str, state_dir: Path
) -> None:
    with Mongod(tmp_path / "mongod", replica_set="rs0", auth=True, version=mongod_version) as server:
        with server.client() as client:
            client.shop.orders.insert_one({"n": 1})
            for name, roles in {"clerk": [], "keeper": ["backup"]}.items():
                own = {"role": "readWrite", "db": "shop"}
                client.admin.command("createUser", name, pwd="canary-oplog", roles=[own, *roles])
        common = {
            "dest": str(tmp_path / "dest"),
            "state_dir": str(state_dir),
            "min_free": "1MiB",
            "consistency": "oplog",
        }
        uri = f"mongodb://%s:canary-oplog@{server.address}/shop?authSource=admin&directConnection=true"
        for check in (True, False):
            refused = run_module("mongo_backup", {**common, "uri": uri % "clerk"}, check=check)
            assert refused.failed and "Give the user the role backup" in refused.msg, refused.output
        assert not (tmp_path / "dest").exists()
        assert not run_module("mongo_backup", {**common, "uri": uri % "keeper"}).failed
