# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import io
import os
import re
import socket
import subprocess
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import manifest as manifests
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import tarball
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.compress import GzipWriter, compressor
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError

FOLDER = "20261124_020000"


def write(
    path: Path, fill: Callable[[tarball.BackupWriter], Any], dump: bytes = b"dump", compression: str = "fast"
) -> Any:
    with path.open("wb") as handle:
        writer = tarball.BackupWriter(handle.write, handle, FOLDER, 1_700_000_000, compression)
        try:
            with writer.stream(tarball.DUMP_NAME) as out:
                packer = GzipWriter(out, compressor(compression))
                packer.write(dump)
                packer.flush()
                packer.close()
            result = fill(writer)
            writer.close()
        finally:
            writer.release()
    return result


def read(path: Path) -> tarball.ReadBack:
    return read_bytes(path.read_bytes(), path.name)


def read_bytes(data: bytes, name: str = "x.tar.gz") -> tarball.ReadBack:
    def whole(stream: Any) -> bytes:
        found = b""
        while data := stream.read():
            found += data
        return found

    return tarball.read_backup(io.BytesIO(data), name, whole)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "source"
    (top / "sub" / "empty").mkdir(parents=True)
    (top / "a.jpg").write_bytes(os.urandom(5000))
    (top / "sub" / "text.txt").write_text("text\n" * 1000)
    (top / "nothing").write_bytes(b"")
    (top / "big.bin").write_bytes(os.urandom(1024) * 5000)
    (top / ("n" * 150 + "é\udce9.txt")).write_bytes(b"odd name")
    (top / "link").symlink_to("a.jpg")
    (top / "dangling").symlink_to("/nowhere")
    (top / "a.jpg").chmod(0o640)
    os.utime(top / "a.jpg", (1_600_000_000, 1_600_000_000))
    return top


@pytest.mark.parametrize("compression", ["fast", "small", "none"])
def test_round_trip(tmp_path: Path, tree: Path, compression: str) -> None:
    path = tmp_path / "x.tar.gz"
    dump = os.urandom(1000) * 7000
    written = write(path, lambda writer: writer.add_path("uploads", str(tree)), dump, compression)
    found = read(path)
    assert found.dump == dump
    assert found.directory == FOLDER
    assert found.components["uploads"].found() == written.found()
    assert written.files == 5
    assert written.bytes == 5000 + 5000 + 0 + 5_120_000 + 8


def test_stock_tar_and_gunzip_unpack_it(tmp_path: Path, tree: Path) -> None:
    path = tmp_path / "x.tar.gz"
    write(path, lambda writer: writer.add_path("uploads", str(tree)), b"abc" * 100_000)
    target = tmp_path / "target"
    target.mkdir()
    subprocess.run(["tar", "xzf", path, "-C", target], check=True, capture_output=True)
    subprocess.run(["gunzip", "-t", target / FOLDER / "mongo.archive.gz"], check=True, capture_output=True)
    subprocess.run(["diff", "-r", "--no-dereference", tree, target / FOLDER / "uploads"], check=True)
    image = target / FOLDER / "uploads" / "a.jpg"
    assert image.stat().st_mtime == 1_600_000_000
    assert image.stat().st_mode & 0o777 == 0o640


def test_a_dump_larger_than_the_octal_size_field_of_tar_is_announced_rightly() -> None:
    info = tarfile.TarInfo("x")
    info.size = 9 * 1024**3
    assert len(info.tobuf(tarfile.GNU_FORMAT)) == tarball.BLOCK


def test_the_manifest_is_read_back(tmp_path: Path) -> None:
    manifest = manifests.Manifest("x.tar.gz", "2026-11-24T02:00:00Z", "shop")
    manifest.collections.append(manifests.CollectionRecord("a", "collection", "a", 1, 2, "00", ["_id_"]))
    manifest.notes.append("odd \udce9 name")
    path = tmp_path / "x.tar.gz"
    write(path, lambda writer: writer.add_manifest(manifest))
    assert read(path).manifest == manifest
    assert b"oplog" not in manifest.to_json(), "as earlier versions know it"
    manifest.oplog = manifests.OplogRecord("1764471234:5", "1764471240:1", 3, 300, "ee")
    assert manifests.parse_manifest(manifest.to_json()) == manifest


@pytest.mark.parametrize("data", [b"", b"[1", b"[" * 100_000, b'{"format": 1}', b'{"format": [[]]}', b"\xff\xfe"])
def test_what_is_no_manifest_of_ours_is_none(data: bytes) -> None:
    assert manifests.parse_manifest(data) is None


def test_what_is_no_file_is_left_out_and_noted(tmp_path: Path) -> None:
    top = tmp_path / "source"
    top.mkdir()
    os.mkfifo(top / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(top / "socket"))
        notes: list[str] = []

        def fill(writer: tarball.BackupWriter) -> None:
            writer.add_path("uploads", str(top))
            notes.extend(writer.notes)

        write(tmp_path / "x.tar.gz", fill)
    assert len(notes) == 2
    assert all("left out" in note for note in notes)


def test_a_missing_path_names_it(tmp_path: Path) -> None:
    with pytest.raises(MaintenanceError, match=r"nope.*ENOENT"):
        write(tmp_path / "x.tar.gz", lambda writer: writer.add_path("uploads", str(tmp_path / "nope")))


def test_a_file_that_shrinks_is_an_error_and_one_that_grows_is_cut(tmp_path: Path) -> None:
    size = tarball.SMALL_FILE_BYTES + 10
    with pytest.raises(MaintenanceError, match="became shorter"):
        write(
            tmp_path / "x.tar.gz",
            lambda writer: writer.add_stream(tarball.Component("u"), "a", "u/a", io.BytesIO(b"x" * 10), size, 0o600, 0),
        )

    def grow(writer: tarball.BackupWriter) -> tarball.Component:
        component = tarball.Component("u")
        writer.add_stream(component, "a", "u/a", io.BytesIO(b"x" * (size + 5000)), 100, 0o600, 0)
        writer.add_stream(component, "b", "u/b", io.BytesIO(b"y" * 200), 100, 0o600, 0)
        return component

    component = write(tmp_path / "y.tar.gz", grow)
    assert read(tmp_path / "y.tar.gz").components["u"].found() == component.found()


def test_a_container_s_tar_is_taken_over(tmp_path: Path, tree: Path) -> None:
    sent = io.BytesIO()
    with tarfile.open(fileobj=sent, mode="w") as tar:
        tar.add(tree, "uploads-in-container")
    data = sent.getvalue()
    chunks = [data[position : position + 30_000] for position in range(0, len(data), 30_000)]
    component = write(tmp_path / "x.tar.gz", lambda writer: writer.add_tar("uploads", chunks, "api:/app/uploads"))
    found = read(tmp_path / "x.tar.gz")
    assert found.components["uploads"].found() == component.found()
    assert component.files == 5
    target = tmp_path / "target"
    target.mkdir()
    subprocess.run(["tar", "xzf", tmp_path / "x.tar.gz", "-C", target], check=True)
    subprocess.run(["diff", "-r", "--no-dereference", tree, target / FOLDER / "uploads"], check=True)


def test_a_second_name_in_a_container_s_tar_keeps_its_content(tmp_path: Path, tree: Path) -> None:
    """An engine sends the second name of a file as a reference to the first."""
    os.link(tree / "a.jpg", tree / "sub" / "again.jpg")
    sent = io.BytesIO()
    with tarfile.open(fileobj=sent, mode="w") as tar:
        tar.add(tree, "uploads-in-container")
        assert any(info.islnk() for info in tar.getmembers())
    component = write(tmp_path / "x.tar.gz", lambda writer: writer.add_tar("uploads", [sent.getvalue()], "api:/u"))
    assert read(tmp_path / "x.tar.gz").components["uploads"].found() == component.found()
    target = tmp_path / "target"
    target.mkdir()
    subprocess.run(["tar", "xzf", tmp_path / "x.tar.gz", "-C", target], check=True)
    subprocess.run(["diff", "-r", "--no-dereference", tree, target / FOLDER / "uploads"], check=True)


def test_a_hard_link_out_of_a_container_s_copy_is_refused(tmp_path: Path) -> None:
    sent = io.BytesIO()
    with tarfile.open(fileobj=sent, mode="w") as tar:
        for name, kind, link in (("u", tarfile.DIRTYPE, ""), ("u/a", tarfile.LNKTYPE, "etc/shadow")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            tar.addfile(info)
    with pytest.raises(MaintenanceError, match="leads out"):
        write(tmp_path / "x.tar.gz", lambda writer: writer.add_tar("uploads", [sent.getvalue()], "api:/u"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_container_s_copy_that_is_a_bare_link_is_no_component(tmp_path: Path, kind: bytes) -> None:
    sent = io.BytesIO()
    with tarfile.open(fileobj=sent, mode="w") as tar:
        info = tarfile.TarInfo("invoices")
        info.type, info.linkname = kind, "/data/real"
        tar.addfile(info)
    with pytest.raises(MaintenanceError, match="neither a file nor a directory in the container"):
        write(tmp_path / "x.tar.gz", lambda writer: writer.add_tar("invoices", [sent.getvalue()], "api:/app/invoices"))


def test_a_container_s_copy_that_ends_between_two_entries_is_not_whole(tmp_path: Path) -> None:
    sent = io.BytesIO()
    with tarfile.open(fileobj=sent, mode="w") as tar:
        for name, kind in (("u", tarfile.DIRTYPE), ("u/a", tarfile.REGTYPE), ("u/b", tarfile.REGTYPE)):
            info = tarfile.TarInfo(name)
            info.type = kind
            tar.addfile(info)
    for entries in (1, 2, 3):
        chunks = [sent.getvalue()[: entries * tarball.BLOCK]]

        def add(writer: tarball.BackupWriter, chunks: list[bytes] = chunks) -> None:
            writer.add_tar("u", chunks, "api:/u")

        with pytest.raises(MaintenanceError, match="copy ends early"):
            write(tmp_path / "x.tar.gz", add)


def test_a_backup_without_the_end_of_a_tar_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    write(path, lambda writer: writer.add_bytes("uploads", b"\0" * 4096))
    whole = gzip.decompress(path.read_bytes())
    for end in range(tarball.BLOCK, len(whole) - tarball.BLOCK, tarball.BLOCK):
        path.write_bytes(gzip.compress(whole[:end]))
        with pytest.raises(MaintenanceError):
            read(path)


def test_what_stands_behind_the_end_is_no_part_of_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    write(path, lambda writer: writer.add_bytes("uploads", b"abc"))
    whole = path.read_bytes()
    for padding in (b"", gzip.compress(b"\0" * 10240), b"\0" * 100):
        path.write_bytes(whole + padding)
        assert read(path).dump == b"dump"
    far_behind = gzip.compress(b"\0" * 3_000_000 + b"x")
    for more in (whole, gzip.compress(b"x"), far_behind):
        path.write_bytes(whole + more)
        with pytest.raises(MaintenanceError, match="something stands behind the end of the archive"):
            read(path)
    path.write_bytes(whole + b"garbage")
    with pytest.raises(MaintenanceError, match="the gzip data is damaged"):
        read(path)


def entry(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo(f"{FOLDER}/x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def many(count: int) -> bytes:
    infos = [tarfile.TarInfo(f"{FOLDER}/{number}") for number in range(count)]
    return b"".join(info.tobuf(tarfile.GNU_FORMAT) for info in infos)


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (lambda: entry(tarfile.GNUTYPE_LONGNAME, 100_000_000) + b"\0" * 100_000_000, "a length of 100000000 bytes"),
        (lambda: entry(tarfile.XHDTYPE, 100_000_000) + b"\0" * 100_000_000, "a length of 100000000 bytes"),
        (lambda: entry(tarfile.REGTYPE, -1024), "less than no bytes"),
        (lambda: (entry(tarfile.GNUTYPE_LONGNAME, 2) + b"x".ljust(512, b"\0")) * 5000, "recursion"),
        (lambda: many(1001), "more than 1000 things"),
    ],
    ids=["long name", "attributes", "negative", "names of names", "components"],
)
def test_what_others_made_up_takes_no_memory_and_comes_to_an_end(
    tmp_path: Path, entries: Callable[[], bytes], told: str
) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(entries() + b"\0" * 1024, 1))
    tracemalloc.start()
    try:
        with pytest.raises(MaintenanceError, match=told):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("victim", ["sub", "a.jpg"])
def test_a_name_swapped_for_a_link_for_a_moment_is_not_followed(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "shadow").write_text("secret of another place")
    real = os.stat

    def look_then_swap(path: Any, **options: Any) -> os.stat_result:
        status = real(path, **options)
        if path == victim:
            (tree / victim).rename(tmp_path / "aside")
            (tree / victim).symlink_to(outside if victim == "sub" else outside / "shadow")
        return status

    monkeypatch.setattr(os, "stat", look_then_swap)
    with pytest.raises(MaintenanceError, match="replaced while it was read"):
        write(tmp_path / "x.tar.gz", lambda writer: writer.add_path("uploads", str(tree)), compression="none")
    assert b"secret of another place" not in (tmp_path / "x.tar.gz").read_bytes()


def test_what_is_swapped_for_a_pipe_does_not_hold_the_backup_up(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    def look_then_swap(path: Any, **options: Any) -> os.stat_result:
        status = real(path, **options)
        if path == "a.jpg":
            (tree / path).unlink()
            os.mkfifo(tree / path)
        return status

    monkeypatch.setattr(os, "stat", look_then_swap)
    notes: list[str] = []

    def fill(writer: tarball.BackupWriter) -> None:
        writer.add_path("uploads", str(tree))
        notes.extend(writer.notes)

    write(tmp_path / "x.tar.gz", fill)
    assert len(notes) == 1
    assert notes[0].endswith("a.jpg: left out, neither file nor directory nor link")


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_damage_is_found(tmp_path: Path, tree: Path, damage: str) -> None:
    path = tmp_path / "x.tar.gz"
    manifest = manifests.Manifest("x", "2026-11-24T02:00:00Z", "shop")

    def fill(writer: tarball.BackupWriter) -> None:
        writer.add_path("uploads", str(tree))
        writer.add_manifest(manifest)

    write(path, fill, os.urandom(100_000))
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[: len(data) * 2 // 3]
    elif damage == "flip":
        data[len(data) // 2] ^= 0x10
    elif damage == "empty":
        data = bytearray()
    else:
        data = bytearray(b"fake dump, 25 bytes long.")
    path.write_bytes(data)
    with pytest.raises(MaintenanceError):
        read(path)


def member_ends(data: bytes) -> list[tuple[int, int]]:
    """Where each gzip member ends in a file, and in what it unpacks to."""
    ends, unpacked, rest = [], 0, data
    while rest:
        unpacker = zlib.decompressobj(31)
        unpacked += len(unpacker.decompress(rest))
        rest = unpacker.unused_data
        ends.append((len(data) - len(rest), unpacked))
    return ends


def test_a_flipped_bit_in_any_byte_is_found_and_what_is_damaged_named(tmp_path: Path) -> None:
    """But where gzip itself tells nothing, as the time in its header: there all is as it was."""
    path = tmp_path / "x.tar.gz"

    def fill(writer: tarball.BackupWriter) -> None:
        # What is packed already stands in members of its own.
        for name in ("uploads/1.jpg", "labels/2.txt", "uploads/3.jpg"):
            writer.add_bytes(name, os.urandom(100))
        writer.add_manifest(manifests.Manifest("x", "2026-11-24T02:00:00Z", "shop"))

    write(path, fill, os.urandom(100))
    data, good = path.read_bytes(), read(path)
    with tarfile.open(path) as tar:
        starts = [(info.offset, info.name) for info in tar]
    ends, told = member_ends(data), 0
    for place in range(len(data)):
        try:
            found = read_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        except MaintenanceError as error:
            text = str(error)
        else:
            assert (found.dump, found.found_components()) == (good.dump, good.found_components()), place
            assert found.manifest == good.manifest
            continue
        told += 1
        # Whatever stands in that member: one of it is named, or what comes before it and "what follows".
        number = next(number for number, (end, _unpacked) in enumerate(ends) if place < end)
        begin, end = ends[number - 1][1] if number else 0, ends[number][1]
        before = [name for start, name in starts if start < end]
        inside = [name for start, name in starts if begin <= start < end] or before[-1:]
        assert any(name in text for name in inside) or re.search("(what follows|its beginning)", text), (place, text)
        assert any(name in text for name in [*before, "its beginning"]), (place, text)
        assert not any(name in text for start, name in starts if start >= end), (place, text)
    assert told > len(data) * 0.8


def test_cut_off_at_any_byte_it_is_no_whole_backup(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    write(path, lambda writer: writer.add_bytes("uploads/1.jpg", os.urandom(100)), os.urandom(100))
    data = path.read_bytes()
    for length in range(len(data)):
        with pytest.raises(MaintenanceError):
            read_bytes(data[:length])


def test_a_backup_of_the_shop_s_own_script_is_read(tmp_path: Path) -> None:
    directory = tmp_path / FOLDER
    (directory / "uploads").mkdir(parents=True)
    (directory / "uploads" / "a.jpg").write_bytes(b"abc")
    subprocess.run("printf dump | gzip > mongo.archive.gz", shell=True, cwd=directory, check=True)
    (directory / "manifest.json").write_text('{"timestamp": "20261124_020000"}')
    for arguments in ([FOLDER], ["./" + FOLDER]):
        subprocess.run(["tar", "czf", tmp_path / "x.tar.gz", "-C", tmp_path, *arguments], check=True)
        found = read(tmp_path / "x.tar.gz")
        assert found.dump == b"dump"
        assert found.manifest is None
        assert found.components["uploads"].files == 1


def test_differences() -> None:
    manifest = manifests.Manifest("x", "2026-11-24T02:00:00Z", "shop")
    manifest.collections = [
        manifests.CollectionRecord("a", "collection", "a", 1, 10, "aa"),
        manifests.CollectionRecord("b", "collection", "b", 2, 20, "bb"),
        manifests.CollectionRecord("v", "view", "v", 0, 0, ""),
        manifests.CollectionRecord("t", "timeseries", "system.buckets.t", 3, 30, "cc"),
    ]
    manifest.components = [manifests.ComponentRecord("uploads", "directory", 4, 40, "dd")]
    good = {
        "a": manifests.FoundCollection(1, 10, "aa"),
        "b": manifests.FoundCollection(2, 20, "bb"),
        "system.buckets.t": manifests.FoundCollection(3, 30, "cc"),
    }
    uploads = {"uploads": manifests.FoundCollection(4, 40, "dd")}
    assert manifests.differences(manifest, good, uploads) == []
    assert manifests.differences(manifest, {**good, "b": manifests.FoundCollection(2, 20, "")}, uploads) == []
    assert manifests.differences(manifest, None, None) == []
    entries = {manifests.OPLOG: manifests.FoundCollection(5, 50, "ee")}
    assert manifests.differences(manifest, {**good, **entries}, None) == [
        "collection of the oplog is not in the manifest"
    ]
    manifest.oplog = manifests.OplogRecord("1:1", "2:1", 5, 50, "ee")
    assert manifests.differences(manifest, {**good, **entries}, None) == []
    assert manifests.differences(manifest, good, None) == ["collection of the oplog is missing"]
    manifest.oplog = None
    bad = {
        "a": manifests.FoundCollection(1, 10, "xx"),
        "c": manifests.FoundCollection(0, 0, ""),
        "system.buckets.t": manifests.FoundCollection(2, 30, "cc"),
    }
    assert manifests.differences(manifest, bad, {"uploads": manifests.FoundCollection(4, 41, "dd")}) == [
        "collection a has other content than was written",
        "collection b is missing",
        "collection c is not in the manifest",
        "collection system.buckets.t has 2 documents instead of 3",
        "component uploads has 41 bytes instead of 40",
    ]
