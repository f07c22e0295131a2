# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose sandbox's pieces that need no engine."""

from __future__ import annotations

import hashlib
import io
import ipaddress
import json
import re
import tarfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox import apt, bridge, docker_trouble, image
from tests.sandbox.compose import COMPOSE_FILE

IMAGES = image.ShopImages("base:1", "mongo:1", "api:1", "frontend:1")
PORTS = {"mongo": 1001, "api": 1002, "frontend": 1003}


def compose_file() -> dict:
    return yaml.safe_load(COMPOSE_FILE.format(images=IMAGES, ports=PORTS))


# -- the compose file --------------------------------------------------------------------------------------------------


def test_it_has_the_services_and_volumes_of_the_shop() -> None:
    shop = yaml.safe_load((image.STANDIN / "shop/docker-compose.yml").read_text(encoding="utf-8"))
    ours = compose_file()
    assert set(ours["services"]) == set(shop["services"])
    assert set(ours["volumes"]) == set(shop["volumes"])
    for name, service in ours["services"].items():
        assert service["container_name"] == shop["services"][name]["container_name"]
        assert service.get("profiles") == shop["services"][name].get("profiles")


def test_nothing_is_pulled_and_nothing_is_published_beyond_loopback() -> None:
    for service in compose_file()["services"].values():
        assert service["pull_policy"] == "never"
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


# -- age ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-11-24T03:36:52.306077557Z", "2026-10-15T03:36:52.306077557Z"),
        ("2026-11-24T03:36:52Z", "2026-10-15T03:36:52Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_of_docker_is_moved_back(stamp: str, expected: str) -> None:
    assert docker_trouble._earlier(stamp, timedelta(days=40)) == expected


@given(st.lists(st.integers(10**18, 10**19 - 1), max_size=20))
def test_buildkits_times_are_moved_in_place_and_only_those_of_this_round(values: list[int]) -> None:
    content = b"\0".join(b'xcache.createdAt{"value":%d}y' % value for value in values)
    by, since = 40 * 86400 * 10**9, 17 * 10**17
    moved = docker_trouble._BUILDKIT_TIME.sub(lambda match: docker_trouble._shift(match, since, by), content)
    assert len(moved) == len(content)
    found = [int(value) for value in re.findall(rb'"value":(\d+)', moved)]
    assert found == [value - by if value >= since else value for value in values]


# -- images ------------------------------------------------------------------------------------------------------------


def test_an_archive_is_what_docker_load_reads() -> None:
    created = datetime(2020, 2, 3, tzinfo=timezone.utc)
    images = [
        image.small_image("one:1", b"content of one", created, {"keep": "yes"}),
        image.small_image(None, b"x" * 1000, created),
    ]
    with tarfile.open(fileobj=io.BytesIO(b"".join(image._archive(images)))) as archive:
        files = {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}  # type: ignore[union-attr]
    manifest = json.loads(files["manifest.json"])
    assert [entry["RepoTags"] for entry in manifest] == [["one:1"], None]
    for entry, expected in zip(manifest, images, strict=True):
        document = files[entry["Config"]]
        assert expected.id == f"sha256:{hashlib.sha256(document).hexdigest()}"
        config = json.loads(document)
        assert config["created"] == "2020-02-03T00:00:00Z"
        digests = [f"sha256:{hashlib.sha256(files[layer]).hexdigest()}" for layer in entry["Layers"]]
        assert config["rootfs"]["diff_ids"] == digests
    with tarfile.open(fileobj=io.BytesIO(files[manifest[0]["Layers"][0]])) as layer:
        assert layer.extractfile("content").read() == b"content of one"  # type: ignore[union-attr]


def test_a_layer_of_files_is_kept_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "IMAGES", tmp_path)
    first = image.files_layer("part", {"a/b/file": b"one"}, {"a/b/file": 0o750})
    assert image.files_layer("part", {"a/b/file": b"one"}, {"a/b/file": 0o750}) == first
    with tarfile.open(str(first.source)) as archive:
        assert archive.getnames() == ["a", "a/b", "a/b/file"]
        assert archive.getmember("a/b/file").mode == 0o750
    second = image.files_layer("part", {"a/b/file": b"two"})
    assert second.digest != first.digest
    assert [path.name for path in tmp_path.glob("part-*.tar")] == [Path(str(second.source)).name], "old ones go"


# -- subnets -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.lists(st.integers(0, 511), max_size=40))
def test_a_free_block_overlaps_nothing(seed: int, numbers: list[int]) -> None:
    blocks = list(bridge.RANGE.subnets(new_prefix=bridge.BLOCK_PREFIX))
    taken = [ipaddress.IPv4Network(str(blocks[number % len(blocks)])) for number in numbers]
    found = bridge.free_block(seed, taken)
    assert found.subnet_of(ipaddress.IPv4Network(str(bridge.RANGE)))
    assert not any(found.overlaps(network) for network in taken)


def test_the_block_an_engine_had_is_taken_again_if_it_is_free() -> None:
    before = bridge.free_block(5, [])
    assert bridge.free_block(99, [], prefer=str(before)) == before
    assert bridge.free_block(99, [before], prefer=str(before)) != before
    with pytest.raises(OSError, match="in use"):
        bridge.free_block(1, [ipaddress.IPv4Network(str(bridge.RANGE))])


def test_routes_are_read_without_the_default_one(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "br0\t00D8C60A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
        encoding="ascii",
    )
    assert bridge.taken(str(table)) == [ipaddress.IPv4Network("10.198.216.0/24")]


# -- packages ----------------------------------------------------------------------------------------------------------


def sources(directory: Path, **files: str) -> Path:
    (directory / "sources.list.d").mkdir()
    for name, text in files.items():
        path = directory / "sources.list" if name == "list" else directory / "sources.list.d" / name.replace("_", ".")
        path.write_text(text, encoding="utf-8")
    return directory


@pytest.mark.parametrize(
    "files",
    [
        {"list": "# deb http://wrong/debian bookworm main\ndeb http://mirror.test/debian bookworm main contrib\n"},
        {"list": "deb [arch=amd64 signed-by=/x.gpg] http://mirror.test/debian trixie main\n"},
        {
            "a_sources": "Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\n"
        },
        {
            "a_sources": "Types: deb\nURIs: http://wrong/node\nSuites: nodistro\n\n# why\nTypes: deb\nEnabled: no\n"
            "URIs: http://wrong/debian\nSuites: bookworm\n\n"
            "Types: deb deb-src\nURIs: http://mirror.test/debian http://other/debian\nSuites: bookworm\n"
        },
    ],
)
def test_packages_come_from_the_machines_own_mirror(tmp_path: Path, files: dict[str, str]) -> None:
    assert apt.mirror(sources(tmp_path, **files)) == "http://mirror.test/debian"


def test_a_machine_without_debians_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(apt.PackagesUnavailable, match="no Debian archive"):
        apt.mirror(sources(tmp_path, list="deb http://archive.test/ubuntu noble main\n"))
