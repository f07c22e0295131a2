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
import re
import secrets
import shutil
import signal
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bson
import pytest
import yaml

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue
from ansible_collections.miniecom.maintenance.plugins.module_utils._core import processes
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.archive import (
    ArchiveReader,
    ArchiveWriter,
    CollectionMetadata,
)
from tests.integration.test_mongo_backup import fill_with_every_kind, ok, wait_for
from tests.sandbox.mongod import Mongod
from tests.support.archives import small_archive
from tests.support.modules import ROOT, ModuleResult, finish_module, run_measured, run_module, start_module

pytestmark = pytest.mark.usefixtures("mongod_libraries")

SAMPLE = Path(__file__).parents[1] / "samples" / "mongodump-sample.archive.gz"
NAME = "20261124_020000"


@pytest.fixture(scope="module")
def good(mongod: Mongod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A backup of a database with every kind of collection; tests work on copies."""
    directory = tmp_path_factory.mktemp("good")
    (directory / "uploads").mkdir()
    (directory / "uploads" / "a.jpg").write_bytes(os.urandom(3000))
    (directory / "dest").mkdir()
    with mongod.client() as client:
        fill_with_every_kind(client.test_restore)
        # Expired already: it must still be there when the restored server is compared.
        client.test_restore.sessions.insert_one({"at": bson.datetime.datetime(2001, 1, 1)})
    params = {
        "uri": mongod.uri_for("test_restore"),
        "dest": str(directory / "dest"),
        "state_dir": str(directory / "state"),
        "include": [{"name": "uploads", "path": str(directory / "uploads")}],
        "min_free": "1MiB",
    }
    yield Path(ok(run_module("mongo_backup", params)).result["path"])
    with mongod.client() as client:
        client.drop_database("test_restore")


@pytest.fixture
def backup(good: Path, tmp_path: Path) -> Path:
    """A copy of the good backup with its record."""
    directory = tmp_path / "backups"
    directory.mkdir()
    for path in good.parent.iterdir():
        shutil.copy2(path, directory)
    return directory / good.name


@pytest.fixture
def params(mongod: Mongod, backup: Path, state_dir: Path) -> dict[str, Any]:
    return {"src": str(backup.parent), "uri": mongod.uri, "state_dir": str(state_dir), "min_free": "1MiB"}


@pytest.fixture(autouse=True)
def nothing_stays(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No server, no directory, no note of a leftover after any test."""
    # A directory for temporary files of its own: other runs may test restores on this machine at the same time. It must be
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


def test_the_largest_documents_are_held_but_a_few_at_a_time(mongod: Mongod, tmp_path: Path, state_dir: Path) -> None:
    """All stay below 200 MB whatever the size; more documents take no more (measured with ten)."""
    params = {"state_dir": str(state_dir), "min_free": "1MiB"}
    with mongod.client() as client:
        for number in range(4):
            client.test_large.photos.insert_one({"_id": number, "x": os.urandom(16 * 1024 * 1024 - 64)})
    try:
        own = {"uri": mongod.uri_for("test_large"), "dest": str(tmp_path / "dest"), "fresh_within": "0"}
        made, memory = run_measured("mongo_backup", {**params, **own}, tmp_path)
        assert ok(made).result["summary"]["documents"] == 4 and memory < 170_000_000, memory
        tested, memory = run_measured("mongo_restore", {**params, "uri": mongod.uri, "src": own["dest"]}, tmp_path)
        assert ok(tested).result["summary"]["documents"] == 4 and memory < 185_000_000, memory
        with mongod.client() as client:
            client.drop_database("test_large")
        live = {"mode": "restore", "server": "live", "allow_clients": True, "uri": own["uri"], "src": own["dest"]}
        restored, memory = run_measured("mongo_restore", {**params, **live}, tmp_path)
        assert ok(restored).result["collections"][0]["documents_then"] == 4 and memory < 185_000_000, memory
    finally:
        with mongod.client() as client:
            client.drop_database("test_large")


def test_300_collections_come_back_and_take_no_more_memory(mongod: Mongod, tmp_path: Path, state_dir: Path) -> None:
    params = {"state_dir": str(state_dir), "min_free": "1MiB"}
    own = {"uri": mongod.uri_for("test_crowd"), "dest": str(tmp_path / "dest"), "fresh_within": "0"}
    with mongod.client() as client:
        for number in range(300):
            client.test_crowd[f"c{number:03}"].insert_many(
                [{"_id": count, "n": number} for count in range(number % 7)] or [{}]
            )
        client.test_crowd.c299.create_index("n", name="by n")
    try:
        made, memory = run_measured("mongo_backup", {**params, **own}, tmp_path)
        summary = ok(made).result["summary"]
        assert summary["collections"] == 300 and memory < 200_000_000
        tested, memory = run_measured("mongo_restore", {**params, "uri": mongod.uri, "src": own["dest"]}, tmp_path)
        assert ok(tested).result["differences"] == [] and memory < 200_000_000
        for name in ("collections", "documents"):
            assert tested.result["summary"][name] == summary[name]
        assert tested.result["summary"]["indexes"] == 301
    finally:
        with mongod.client() as client:
            client.drop_database("test_crowd")


@pytest.mark.exhaustive
def test_memory_does_not_grow_with_the_size_of_300_collections(mongod: Mongod, tmp_path: Path, state_dir: Path) -> None:
    """300 real collections; that they hold 20 GB is simulated, by giving each batch out 67 times and inserting it once."""
    with mongod.client() as client:
        for number in range(300):
            collection = client.test_many[f"c{number:03}"]
            text = [secrets.token_hex(500) for _some in range(100)]
            collection.insert_many(
                {"_id": count, "lines": [text[(count + line) % 100] for line in range(10)]} for count in range(100)
            )
            collection.create_index("lines.0")
    used: dict[str, list[int]] = {"mongo_backup": [], "mongo_restore": []}
    try:
        for times in (1, 67):
            dest = str(tmp_path / f"dest{times}")
            both = {"state_dir": str(state_dir), "min_free": "1MiB"}
            backup = {**both, "uri": mongod.uri_for("test_many"), "dest": dest, "fresh_within": "0"}
            restore = {**both, "uri": mongod.uri, "src": dest}
            for name, params in (("mongo_backup", backup), ("mongo_restore", restore)):
                env = {"MINIECOM_TEST_BATCHES_TIMES": str(times)}
                result, memory = run_measured(name, params, tmp_path, timeout=3600, env=env)
                assert ok(result).result["summary"]["documents"] == 300 * 100 * times
                used[name].append(memory)
        # What is on its way at one moment differs; the most of it in a long time is a little more than in a short one.
        for small, large in used.values():
            assert large < small + 60_000_000 and large < 200_000_000, used
    finally:
        with mongod.client() as client:
            client.drop_database("test_many")


def remake(path: Path, change: Callable[[Path], None]) -> None:
    """Unpack a backup, change what is in it, pack it again with stock tar."""
    work = path.parent / "work"
    work.mkdir()
    subprocess.run(["tar", "xzf", path, "-C", work], check=True)
    (directory,) = work.iterdir()
    change(directory)
    subprocess.run(["tar", "czf", path, "-C", work, directory.name], check=True)
    shutil.rmtree(work)


def rewrite_dump(
    directory: Path,
    head: Callable[[CollectionMetadata], CollectionMetadata] = lambda entry: entry,
    data: Callable[[str, bytes], bytes] = lambda name, raw: raw,
) -> None:
    """Write the dump again with a change; it is a valid archive, with valid checksums, of something else."""
    dump = directory / "mongo.archive.gz"
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


@pytest.mark.every_server
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
    assert summary["server_version"] == summary["backup_version"] == mongod.version
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
    assert "no backup in this directory" in verify(params, src=str(tmp_path / "empty")).msg


@pytest.mark.every_server
def test_what_stock_mongodump_wrote_restores_and_counts_as_verified(params: dict[str, Any], tmp_path: Path) -> None:
    directory = tmp_path / "shop" / NAME
    (directory / "uploads").mkdir(parents=True)
    (directory / "uploads" / "a.jpg").write_bytes(b"abc")
    shutil.copy(SAMPLE, directory / "mongo.archive.gz")
    (directory / "manifest.json").write_text('{"timestamp": "20261124_020000", "db": "sample"}')
    path = tmp_path / "shop" / f"{NAME}.tar.gz"
    subprocess.run(["tar", "czf", path, "-C", directory.parent, NAME], check=True)
    result = ok(verify(params, src=str(path)))
    assert result.result["summary"]["manifest"] is False
    assert result.result["summary"]["documents"] == 1000 + 100 + 10 + 3 + 1 + 1 + 1 + 1
    seen = catalogue.look_at(str(path))
    assert seen is not None
    assert seen.verification is not None
    assert seen.verification.database == "sample"
    assert seen.verification.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def stock_backup(directory: Path, dump: bytes, name: str = "mongo.archive.gz") -> Path:
    """As the shop's script packs what mongodump wrote."""
    (directory / NAME / "uploads").mkdir(parents=True)
    (directory / NAME / "uploads" / "a.jpg").write_bytes(b"abc")
    (directory / NAME / name).write_bytes(gzip.compress(dump) if name.endswith(".gz") else dump)
    (directory / NAME / "manifest.json").write_text('{"timestamp": "20261124_020000", "db": "sample"}')
    path = directory / f"{NAME}.tar.gz"
    subprocess.run(["tar", "czf", path, "-C", directory, NAME], check=True)
    return path


@pytest.mark.parametrize("name", ["mongo.archive", "mongo.archive.gz"])
def test_a_dump_that_was_not_packed_restores_whatever_its_name(
    params: dict[str, Any], tmp_path: Path, name: str
) -> None:
    dump = gzip.decompress(SAMPLE.read_bytes())
    path = stock_backup(tmp_path / "shop", dump, "mongo.archive")
    if name != "mongo.archive":
        path.unlink()
        (tmp_path / "shop" / NAME / "mongo.archive").rename(tmp_path / "shop" / NAME / name)
        subprocess.run(["tar", "czf", path, "-C", path.parent, NAME], check=True)
    result = ok(verify(params, src=str(path)))
    assert result.result["summary"]["documents"] == 1000 + 100 + 10 + 3 + 1 + 1 + 1 + 1
    assert result.result["summary"]["files"] == 1
    remake(path, lambda directory: (directory / name).write_bytes(dump[:-100]))
    Path(catalogue.sidecar_path(str(path))).unlink()
    assert "it ends" in verify(params, src=str(path)).msg


def stock_dump(mongod: Mongod, databases: list[str], whole_server: bool, spoil: bool = False) -> bytes:
    """What mongodump writes of a whole server with --oplog, or of one database with --dumpDbUsersAndRoles.

    Users, roles and version stand in admin with their metadata, or beside the database's collections with none.
    """
    entries: list[tuple[CollectionMetadata, list[bytes]]] = []
    with mongod.client() as client:
        names = ["system.users", "system.roles", "system.version"]
        for name in names:
            raw = list(client.admin[name].find_raw_batches({}))
            if spoil and name == "system.users":
                raw = [batch + batch for batch in raw]
            if whole_server:
                metadata = json.dumps({"indexes": [], "collectionName": name, "type": "collection"})
                entries.append((CollectionMetadata("admin", name, "collection", metadata), raw))
            else:
                entries.append((CollectionMetadata(databases[0], f"$admin.{name}", "", ""), raw))
        for database in databases:
            indexes = [{"v": 2, "key": {"_id": 1}, "name": "_id_"}, {"v": 2, "key": {"n": 1}, "name": "n_1"}]
            metadata = json.dumps({"indexes": indexes, "collectionName": "orders", "type": "collection"})
            documents = [bson.encode({"_id": f"{database} {number}", "n": number}) for number in range(5)]
            entries.append((CollectionMetadata(database, "orders", "collection", metadata), documents))
        if whole_server:
            entry = {"op": "i", "ns": f"{databases[0]}.orders", "o": {"_id": "of the oplog"}}
            entries.append((CollectionMetadata("", "oplog", "", ""), [bson.encode(entry)]))
    out = io.BytesIO()
    writer = ArchiveWriter(out.write, [head for head, _raw in entries], "6.0.5", "100.10.0")
    for head, raw in entries:
        for batch in raw:
            writer.add(head.db, head.collection, batch)
        writer.end(head.db, head.collection)
    return out.getvalue()


@pytest.fixture
def user_and_role(mongod: Mongod) -> Iterator[None]:
    with mongod.client() as client:
        read = [{"resource": {"db": "shop", "collection": ""}, "actions": ["find"]}]
        client.shop.command("createRole", "packer", privileges=read, roles=[])
        client.shop.command("createUser", "clerk", pwd="clerk-password", roles=["packer"])
        yield
        client.shop.command("dropUser", "clerk")
        client.shop.command("dropRole", "packer")


@pytest.mark.usefixtures("user_and_role")
def test_a_dump_of_a_whole_server_restores(mongod: Mongod, params: dict[str, Any], tmp_path: Path) -> None:
    path = stock_backup(tmp_path / "shop", stock_dump(mongod, ["blog", "shop"], True))
    result = ok(verify(params, src=str(path)))
    assert "could not be restored" not in str(result.result.get("warnings"))
    assert result.result["summary"]["documents"] == 10 and result.result["summary"]["oplog_entries"] == 1
    assert result.result["summary"]["collections"] == 2
    # Of two databases nobody knows which one is the shop's, but by the connection string.
    seen = catalogue.look_at(str(path))
    assert seen is not None and seen.verified and seen.database == ""
    wanted = [{"collection": "orders", "filter": {"_id": "shop 3"}}]
    assert "several databases (blog, shop)" in verify(params, src=str(path), assertions=wanted).msg
    assert seen.verified
    Path(catalogue.sidecar_path(str(path))).unlink()
    ok(verify(params, src=str(path), assertions=wanted, uri=mongod.uri_for("shop")))
    seen = catalogue.look_at(str(path))
    assert seen is not None and seen.verified and seen.database == "shop"


@pytest.mark.usefixtures("user_and_role")
def test_a_dump_of_a_database_with_its_users_and_roles_restores(
    mongod: Mongod, params: dict[str, Any], tmp_path: Path
) -> None:
    path = stock_backup(tmp_path / "shop", stock_dump(mongod, ["shop"], False))
    result = ok(verify(params, src=str(path)))
    assert "could not be restored" not in str(result.result.get("warnings"))
    assert result.result["summary"]["documents"] == 5
    seen = catalogue.look_at(str(path))
    assert seen is not None and seen.database == "shop"
    path.unlink()
    shutil.rmtree(path.parent)
    twice = stock_backup(tmp_path / "shop", stock_dump(mongod, ["shop"], False, spoil=True))
    assert "two documents with the same" in verify(params, src=str(twice)).msg


def test_an_index_may_have_another_collation_than_its_collection(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "dest").mkdir()
    with mongod.client() as client:
        names = client[mongo_database].create_collection("names", collation={"locale": "de", "strength": 1})
        names.create_index("a", name="simple", unique=True, collation={"locale": "simple"})
        names.create_index("b", name="inherited")
        names.create_index("c", name="fr", collation={"locale": "fr"})
        names.create_index([("d", "hashed")], name="hashed", collation={"locale": "simple"})
        # Equal for the collection, and different for its simple index.
        names.insert_many([{"a": "x"}, {"a": "X"}])
    made = {"uri": mongod.uri_for(mongo_database), "dest": str(tmp_path / "dest"), "min_free": "1MiB"}
    ok(run_module("mongo_backup", {**made, "state_dir": params["state_dir"]}))
    result = ok(verify(params, src=str(tmp_path / "dest")))
    assert result.result["differences"] == []
    assert result.result["summary"]["indexes"] == 5


def test_documents_that_do_not_pass_their_validator_are_counted(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "dest").mkdir()
    schema = {"$jsonSchema": {"required": ["n"], "properties": {"n": {"bsonType": "int"}}}}
    with mongod.client() as client:
        database = client[mongo_database]
        for name in ("orders", "warned", "off", "query", "clean"):
            database[name].insert_many([{"n": number} for number in range(5)])
        for name in ("orders", "warned", "off"):
            database[name].insert_many([{"n": "text"}, {}])
        database.query.insert_one({"n": 90})
        database.command("collMod", "orders", validator=schema, validationLevel="moderate")
        database.command("collMod", "warned", validator=schema, validationAction="warn")
        database.command("collMod", "off", validator=schema, validationLevel="off")
        database.command("collMod", "query", validator={"$expr": {"$lt": ["$n", 50]}})
        database.command("collMod", "clean", validator=schema)
    made = {"uri": mongod.uri_for(mongo_database), "dest": str(tmp_path / "dest"), "min_free": "1MiB"}
    made["state_dir"] = params["state_dir"]
    for reused in (False, True):
        backup = ok(run_module("mongo_backup", made)).result
        assert backup["summary"]["reused"] is reused
        assert backup["summary"]["invalid_documents"] == backup["backup"]["invalid_documents"] == 3
        assert len(backup["warnings"]) == 1
        warning = str(backup["warnings"])
        assert "restore.sh" in warning
        name = Path(backup["path"]).name.partition(".")[0]
        assert f"mongorestore --archive={name}/mongo.archive.gz --gzip --drop --bypassDocumentValidation" in warning
        assert backup["summary"]["restore_command"] in warning
    result = ok(verify(params, src=str(tmp_path / "dest"))).result
    assert result["summary"]["restored"] is True
    assert result["summary"]["invalid_documents"] == 3
    assert result["summary"]["headline"].endswith("3 of them only with --bypassDocumentValidation")
    assert len(result["warnings"]) == 1
    warning = str(result["warnings"])
    assert f"in {mongo_database}.orders, {mongo_database}.query do not pass" in warning
    assert "restore.sh" in warning


def test_the_newest_file_of_a_directory_may_be_no_backup(params: dict[str, Any], backup: Path, tmp_path: Path) -> None:
    directory = tmp_path / "mixed"
    directory.mkdir()
    (directory / "20261101_020000.tar.gz").write_bytes(backup.read_bytes())
    (directory / "20261102_020000.tar.gz").write_bytes(b"x" * 20)
    would = ok(run_module("mongo_restore", {**params, "src": str(directory)}, check=True)).result
    assert would["summary"]["path"] == str(directory / "20261101_020000.tar.gz")
    assert "20261102_020000.tar.gz is not tested" in str(would["warnings"])
    (directory / "20261101_020000.tar.gz").unlink()
    result = verify(params, src=str(directory))
    assert "there is no backup in this directory; " in result.msg and "it is no gzip file" in result.msg


def test_encrypted(mongod: Mongod, params: dict[str, Any], good: Path, tmp_path: Path) -> None:
    directory = tmp_path / "encrypted"
    directory.mkdir()
    (tmp_path / "passphrase").write_text("canary passphrase\n")
    path = directory / f"{good.name}.enc"
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


def test_expressions_over_counts_and_samples(params: dict[str, Any], backup: Path) -> None:
    samples = [{"name": "last", "collection": "plain", "pipeline": [{"$sort": {"n": -1}}, {"$limit": 1}]}]
    wanted = [
        {"name": "as many as there were", "that": "counts.plain >= `500`"},
        {"name": "the last one", "that": "samples.last[0].n == `499` && length(samples.last[0]._id) > `0`"},
        {"name": "uploads are there", "that": "backup.files.uploads == `1`"},
    ]
    doubt = {"name": "more than there are", "that": "counts.plain < `500`", "severity": "warn"}
    result = ok(verify(params, assertions=[*wanted, doubt], samples=samples))
    assert result.result["differences"] == []
    assert result.result["doubts"] == ["the assertion does not hold: more than there are (it is false)"]
    assert "WARNING: the assertion does not hold" in result.result["summary"]["headline"]
    assert result.result["summary"]["seconds_restore"] > 0
    info = ok(run_module("backup_info", {"path": str(backup.parent), "state_dir": params["state_dir"]})).result
    assert info["last_verified"]["name"] == backup.name
    assert info["last_verified"]["restore_seconds"] > 0
    assert info["last_verified"]["last_verified"] == info["last_verified"]["restore_tested"]
    assert "it was restored in" in info["summary"]["headline"]

    # The role's own, of a collection whose documents have no items, and of one that is not there.
    defaults = yaml.safe_load((ROOT / "roles/backup/defaults/main.yml").read_text(encoding="utf-8"))
    (items,) = [entry for entry in defaults["backup_test_assertions"] if entry.get("collection") == "orders"]
    result = ok(verify(params, assertions=[{**items, "collection": "plain"}, {**items, "name": "none at all"}]))
    (told,) = result.result["doubts"]
    assert "no order is without items" in told

    failed = verify(params, assertions=[{**doubt, "severity": "fail"}], samples=samples)
    assert failed.failed
    assert "more than there are" in failed.msg
    info = ok(run_module("backup_info", {"path": str(backup.parent), "state_dir": params["state_dir"]})).result
    assert "last_verified" not in info
    assert info["summary"]["restore_failed"] == 1
    # What is wrong with the question says nothing about the backup.
    before = Path(catalogue.sidecar_path(str(backup))).read_bytes()
    wrong = [{"name": "w", "collection": "plain", "pipeline": [{"$nonsense": 1}]}]
    assert "cannot take the sample w" in verify(params, assertions=wanted, samples=wrong).msg
    assert Path(catalogue.sidecar_path(str(backup))).read_bytes() == before
    assert "no JMESPath" in verify(params, assertions=[{"that": "a ="}]).msg
    assert "writes" in verify(params, samples=[{"name": "w", "collection": "plain", "pipeline": [{"$out": "x"}]}]).msg


def test_under_the_oldest_python_of_a_target(params: dict[str, Any], old_python: Path) -> None:
    wanted = [{"that": "age_hours('2026-01-01T00:00:00Z') > `0` && counts.plain > `0`"}]
    result = ok(run_module("mongo_restore", {**params, "assertions": wanted}, python=old_python))
    assert result.result["summary"]["restored"]


@pytest.mark.every_server
def test_a_named_program(mongod: Mongod, params: dict[str, Any]) -> None:
    del params["uri"]
    program = f"/proc/{mongod.pid}/exe"
    assert ok(verify(params, mongod_program=os.path.realpath(program))).result["summary"]["restored"]
    assert "no program" in verify(params, mongod_program="/nonexistent/mongod").msg
    result = verify(params, mongod_program="/bin/false")
    assert result.failed
    assert "ended (exit status 1)" in result.msg


def test_a_server_that_does_not_start_proves_nothing_and_says_why(params: dict[str, Any], tmp_path: Path) -> None:
    program = tmp_path / "mongod"
    program.write_text(
        "#!/bin/sh\necho 'mongod: error while loading shared libraries: libcrypto.so.1.1' >&2\nexit 127\n"
    )
    program.chmod(0o755)
    del params["uri"]
    result = verify(params, mongod_program=str(program))
    assert result.failed
    assert "ended (exit status 127)" in result.msg
    assert "error while loading shared libraries: libcrypto.so.1.1" in result.msg
    assert "The backup was not tested" in result.msg
    assert "does not restore" not in str(result.result)
    assert result.result["summary"]["restored"] is False
    assert "could not be tested" in result.result["summary"]["headline"]
    assert result.result["differences"] == []


# --- what does not


def without_one_document(directory: Path) -> None:
    def shorter(name: str, raw: bytes) -> bytes:
        return raw[int.from_bytes(raw[:4], "little") :] if name == "geo" or name == "plain" else raw

    rewrite_dump(directory, data=shorter)


def with_another_document(directory: Path) -> None:
    rewrite_dump(directory, data=lambda name, raw: raw.replace(b"text 7\0", b"text 8\0"))


def without_an_index(directory: Path) -> None:
    def without(entry: CollectionMetadata) -> CollectionMetadata:
        metadata = json.loads(entry.metadata)
        metadata["indexes"] = [index for index in metadata["indexes"] if index["name"] != "n_1"]
        return CollectionMetadata(entry.db, entry.collection, entry.type, json.dumps(metadata))

    rewrite_dump(directory, head=without)


def without_an_upload(directory: Path) -> None:
    (directory / "uploads" / "a.jpg").unlink()


def with_a_fake_dump(directory: Path) -> None:
    (directory / "mongo.archive.gz").write_bytes(b"fake dump, 25 bytes long.")


def without_a_dump(directory: Path) -> None:
    (directory / "mongo.archive.gz").unlink()


def with_half_a_dump(directory: Path) -> None:
    dump = directory / "mongo.archive.gz"
    dump.write_bytes(gzip.compress(gzip.decompress(dump.read_bytes())[:-200_000]))


def with_a_unique_index_that_cannot_be_built(directory: Path) -> None:
    rewrite_dump(
        directory, data=lambda name, raw: raw + raw[: int.from_bytes(raw[:4], "little")] if name == "geo" else raw
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


# --- what was proven is recorded


def with_two_documents_of_one_key(directory: Path) -> None:
    """A unique key that moved from one document to another while a dump without one moment was read."""
    manifest = json.loads((directory / "manifest.json").read_text())
    extra = bson.encode({"_id": "moved", "n": 3})

    def more(name: str, raw: bytes) -> bytes:
        return raw + extra if name == "plain" else raw

    rewrite_dump(directory, data=more)
    reader = ArchiveReader(io.BytesIO(gzip.decompress((directory / "mongo.archive.gz").read_bytes())))
    reader.read_all()
    for entry in manifest["collections"]:
        if entry["name"] == "plain":
            totals = reader.totals[("test_restore", "plain")]
            entry.update(documents=totals.documents, bytes=totals.bytes, sha256=totals.sha256)
    (directory / "manifest.json").write_text(json.dumps(manifest))


def with_a_record(backup: Path) -> None:
    """As mongo_backup would have left it: read back, found to be what was written."""
    record = catalogue.read_sidecar(str(backup))
    assert record is not None
    status = backup.stat()
    digest = hashlib.sha256(backup.read_bytes()).hexdigest()
    catalogue.write_sidecar(
        str(backup), replace(record, size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=digest)
    )


def told(params: dict[str, Any], backup: Path) -> dict[str, Any]:
    info = ok(run_module("backup_info", {"path": str(backup.parent), "state_dir": params["state_dir"]})).result
    (entry,) = info["backups"]
    return {**entry, "headline": info["summary"]["headline"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_two_documents_of_one_key, "two documents with the same n|11000"),
        (without_one_document, "geo has 0 documents"),
        (without_an_upload, "component uploads"),
        (with_half_a_dump, "it ends"),
    ],
)
def test_what_is_proven_not_to_restore_counts_no_more(
    mongod: Mongod, params: dict[str, Any], backup: Path, change: Callable[[Path], None], message: str
) -> None:
    remake(backup, change)
    with_a_record(backup)
    assert told(params, backup)["verified"]
    result = verify(params)
    assert result.failed
    assert re.search(message, result.msg), result.msg
    entry = told(params, backup)
    assert not entry["verified"]
    assert not entry["changed_since_verified"]
    assert entry["restore_failed"]
    assert entry["database"] == "test_restore"
    assert "1 proven not to restore" in entry["headline"]
    prune = {"path": str(backup.parent), "keep_last": 1, "state_dir": params["state_dir"]}
    for day in range(1, 4):
        (backup.parent / f"2020010{day}_000000.tar.gz").write_bytes(small_archive())
    refused = run_module("backup_prune", prune)
    assert refused.failed
    assert "without a verified one" in refused.msg
    made = ok(
        run_module(
            "mongo_backup",
            {
                "uri": mongod.uri_for("test_restore"),
                "dest": str(backup.parent),
                "state_dir": params["state_dir"],
                "min_free": "1MiB",
            },
        )
    )
    assert made.changed
    assert "was proven not to restore" in made.result["plan"][0]["reason"]


def test_an_assertion_that_does_not_hold_counts_until_it_holds_again(params: dict[str, Any], backup: Path) -> None:
    assert verify(params, assertions=[{"collection": "nope"}]).failed
    assert told(params, backup)["restore_failed"]
    ok(verify(params))
    entry = told(params, backup)
    assert entry["verified"]
    assert entry["restore_tested"]
    assert entry["restore_failed"] == ""


def test_a_flipped_byte_is_named_with_the_collection_and_the_archive_counts_no_more(
    params: dict[str, Any], backup: Path
) -> None:
    """Half of the archive are two documents of random bytes, in its middle."""
    whole, status = backup.read_bytes(), backup.stat()
    half = len(whole) // 2
    backup.write_bytes(whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :])
    os.utime(backup, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert told(params, backup)["verified"], "only its bytes tell"
    result = verify(params)
    assert result.failed and backup.name in result.msg
    assert "noticed while test_restore.big was read" in result.msg, result.msg
    directory = backup.name.split(".")[0]
    assert f"damaged is {directory}/mongo.archive.gz, or what follows it" in result.msg, result.msg
    assert not told(params, backup)["verified"]


def test_what_speaks_against_the_surroundings_changes_no_record(
    params: dict[str, Any], good: Path, backup: Path, tmp_path: Path
) -> None:
    before = Path(catalogue.sidecar_path(str(backup))).read_bytes()
    assert verify(params, min_free="900TiB").failed
    del params["uri"]
    assert verify(params, mongod_program="/bin/false").failed
    assert Path(catalogue.sidecar_path(str(backup))).read_bytes() == before


def test_an_encrypted_one_is_judged_by_its_bytes_and_not_by_the_passphrase(
    params: dict[str, Any], good: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "encrypted"
    directory.mkdir()
    (tmp_path / "passphrase").write_text("canary passphrase\n")
    (tmp_path / "wrong").write_text("wrong\n")
    path = directory / f"{good.name}.enc"
    command = ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-salt", "-in", good, "-out", path]
    subprocess.run([*command, "-pass", f"file:{tmp_path / 'passphrase'}"], check=True)
    shutil.copy2(catalogue.sidecar_path(str(good)), catalogue.sidecar_path(str(path)))
    with_a_record(path)
    params["src"] = str(path)
    assert verify(params, passphrase_file=str(tmp_path / "wrong")).failed
    assert told(params, path)["verified"]
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert told(params, path)["verified"]  # nobody has looked yet
    assert verify(params, passphrase_file=str(tmp_path / "passphrase")).failed
    assert told(params, path)["restore_failed"]


# --- cut off


def gzip_members(raw: bytes) -> list[int]:
    ends, position = [], 0
    while position < len(raw):
        unpacker = zlib.decompressobj(31)
        unpacker.decompress(raw[position:])
        position = len(raw) - len(unpacker.unused_data)
        ends.append(position)
    return ends


def test_cut_off_between_two_gzip_members_it_is_no_whole_backup(params: dict[str, Any], backup: Path) -> None:
    raw = backup.read_bytes()
    boundaries = gzip_members(raw)[:-1]
    assert len(boundaries) > 3
    record = Path(catalogue.sidecar_path(str(backup)))
    for end in (boundaries[-1], boundaries[len(boundaries) // 2]):
        backup.write_bytes(raw[:end])
        with_a_record(backup)
        assert verify(params).failed
        assert not told(params, backup)["verified"]
    record.unlink()
    assert verify(params).failed
    assert not record.exists()


def without_a_manifest(directory: Path) -> None:
    (directory / "manifest.json").unlink()


def test_ours_without_its_manifest_is_not_whole(params: dict[str, Any], backup: Path) -> None:
    remake(backup, without_a_manifest)
    for _attempt in ("with a stale record", "without one"):
        result = verify(params)
        assert result.failed
        assert "the manifest is missing" in result.msg
        assert not told(params, backup)["verified"]
        Path(catalogue.sidecar_path(str(backup))).unlink(missing_ok=True)


def test_a_record_of_another_archive_is_not_written_anew(params: dict[str, Any], backup: Path) -> None:
    remake(backup, lambda directory: None)
    before = Path(catalogue.sidecar_path(str(backup))).read_bytes()
    result = ok(verify(params))
    assert "it stays unverified" in str(result.result["warnings"])
    assert Path(catalogue.sidecar_path(str(backup))).read_bytes() == before
    assert told(params, backup)["changed_since_verified"]


def test_the_same_bytes_with_another_time_are_recognised(params: dict[str, Any], backup: Path) -> None:
    os.utime(backup, (1, 1))
    assert told(params, backup)["changed_since_verified"]
    ok(verify(params))
    entry = told(params, backup)
    assert entry["verified"]
    assert entry["restore_tested"]


# --- what the server changes


@pytest.mark.every_server
def test_documents_with_empty_timestamps_come_back_as_they_were(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], tmp_path: Path
) -> None:
    """The server puts its own time in their place on insert, at the top of a document."""
    (tmp_path / "dest").mkdir()
    with mongod.client() as client:
        database = client[mongo_database]
        database.create_collection("ring", capped=True, size=100_000)
        for name in ("plain", "ring"):
            for number in range(3):
                database[name].insert_one({"_id": bson.Timestamp(0, number), "d": bson.DatetimeMS(2**60)})
                empty = {"a": bson.Timestamp(0, 0), "a.b": bson.Timestamp(0, 0), "in": {"a": bson.Timestamp(0, 0)}}
                change = [{"$replaceWith": {"$mergeObjects": ["$$ROOT", {"$literal": empty}]}}]
                if number != 1:
                    database[name].update_one({"_id": bson.Timestamp(0, number)}, change)
            assert database[name].count_documents({"a": bson.Timestamp(0, 0)}) == 2
    made = {"uri": mongod.uri_for(mongo_database), "dest": str(tmp_path / "dest"), "min_free": "1MiB"}
    ok(run_module("mongo_backup", {**made, "state_dir": params["state_dir"]}))
    assert ok(verify(params, src=str(tmp_path / "dest"))).result["summary"]["restored"]


# --- surroundings


def test_a_file_dated_in_the_future_is_not_the_newest(params: dict[str, Any], backup: Path) -> None:
    junk = backup.parent / "20990101_000000.tar.gz"
    junk.write_bytes(small_archive())
    assert ok(verify(params)).result["summary"]["path"] == str(backup)
    info = ok(run_module("backup_info", {"path": str(backup.parent), "state_dir": params["state_dir"]})).result
    assert info["newest"]["path"] == str(backup)
    assert 0 <= info["summary"]["newest_age_hours"] < 1
    backup.unlink()
    assert "dated in the future" in verify(params).msg
    info = ok(run_module("backup_info", {"path": str(backup.parent), "state_dir": params["state_dir"]})).result
    assert info["summary"]["newest_age_hours"] is None
    assert "newest" not in info


def test_no_space(params: dict[str, Any], state_dir: Path) -> None:
    result = verify(params, min_free="900TiB")
    assert result.failed
    assert "not enough space for a restore test" in result.msg
    assert not state_dir.exists()


def test_a_server_that_does_not_start_says_why_in_its_own_words(
    params: dict[str, Any], backup: Path, tmp_path: Path
) -> None:
    """The loader complains on standard error, before there is a log; as 6.0.27 does where OpenSSL 1.1 is missing."""
    words = "error while loading shared libraries: libssl.so.1.1: cannot open shared object file"
    program = tmp_path / "mongod"
    program.write_text(f'#!/bin/sh\necho "$0: {words}" >&2\nexit 127\n')
    program.chmod(0o755)
    before = {path.name: path.read_bytes() for path in backup.parent.iterdir()}
    result = verify(params, mongod_program=str(program))
    assert result.failed and words in result.msg, result.msg
    assert {path.name: path.read_bytes() for path in backup.parent.iterdir()} == before, "the backup is not to blame"


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


def test_the_throwaway_server_is_killed_on_the_way(params: dict[str, Any], state_dir: Path, backup: Path) -> None:
    """That speaks against the host, and not against the backup."""
    before = Path(catalogue.sidecar_path(str(backup))).read_bytes()
    process = start_module("mongo_restore", params)
    (server,) = wait_for(lambda: list(state_dir.glob("restore-test-*/db/WiredTiger.wt")) and servers(state_dir))
    os.kill(server, signal.SIGKILL)
    result = finish_module(process)
    assert result.failed and "does not restore" not in result.msg
    assert result.result["summary"]["restored"] is False
    assert "could not be tested" in result.result["summary"]["headline"]
    assert Path(catalogue.sidecar_path(str(backup))).read_bytes() == before
