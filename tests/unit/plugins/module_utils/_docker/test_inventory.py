# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.inventory import (
    Container,
    Mount,
    Volume,
    container_uses_image,
    container_uses_network,
    container_uses_volume,
    parse_cache_entry,
    parse_container,
    parse_disk_usage,
    parse_image,
    parse_network,
    parse_time,
    parse_volume,
    repository_of,
)

HEX = "0123456789abcdef" * 4
PLACE = "/var/lib/docker/volumes/data/_data"


def container(*mounts: Mount, **facts: Any) -> Container:
    return Container("c1", "web", "app:1", "sha256:" + HEX, "exited", 0.0, mounts=mounts, **facts)


# -- who uses a volume ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mount",
    [
        Mount("volume", "data", PLACE, "/data"),
        Mount("volume", "", PLACE, "/data"),
        Mount("volume", "", PLACE + "/", "/data"),
        Mount("bind", "", PLACE, "/data"),
        Mount("bind", "", PLACE + "/uploads", "/data"),
        Mount("volume", "data", "", "/data"),
        Mount("volume", "", "data", "/data"),
        Mount("bind", "", "/var/lib/docker/volumes", "/all"),
        Mount("bind", "", "/", "/host"),
        Mount("bind", "", "/srv/link", "/data", (PLACE,)),
        Mount("bind", "", "/srv/link", "/data", ("/srv/link", "/var/lib/docker/volumes/data")),
    ],
)
def test_a_volume_is_used_by_name_and_by_source(mount: Mount) -> None:
    assert container_uses_volume(container(mount), "data", PLACE)


@pytest.mark.parametrize(
    "mount",
    [
        Mount("volume", "data2", PLACE.replace("/data/", "/data2/"), "/data"),
        Mount("bind", "", "/var/lib/docker/volumes/data/_data2", "/data"),
        Mount("bind", "", "/srv", "/data"),
        Mount("tmpfs", "", "", "/data"),
    ],
)
def test_other_mounts_do_not_use_it(mount: Mount) -> None:
    assert not container_uses_volume(container(mount), "data", PLACE)


def test_a_volume_is_used_by_a_source_that_its_mountpoint_reaches_through_a_link() -> None:
    mount = Mount("bind", "", "/data/docker/volumes/data/_data", "/data")
    assert not container_uses_volume(container(mount), "data", PLACE)
    assert container_uses_volume(container(mount), "data", PLACE, ["/data/docker/volumes/data/_data"])
    assert not container_uses_volume(container(mount), "data", PLACE, ["/data/docker/volumes/data/_data2"])
    # The same directory, mounted in two places.
    mount = Mount("bind", "", "/srv/other", "/data", ("/srv/other", "8:1:/volumes/data/_data/sub"))
    assert container_uses_volume(container(mount), "data", PLACE, [PLACE, "8:1:/volumes/data/_data"])
    assert not container_uses_volume(container(mount), "data", PLACE, [PLACE, "8:2:/volumes/data/_data"])


def test_a_volume_without_a_mountpoint_is_not_used_by_everything() -> None:
    assert not container_uses_volume(
        container(Mount("bind", "", "/srv", "/x"), Mount("tmpfs", "", "", "/y")), "data", ""
    )


# -- who uses an image, a network -----------------------------------------------------------------------------------


def test_an_image_is_used_by_id_by_its_beginning_or_for_want_of_an_id_by_name() -> None:
    identity = "sha256:" + HEX
    assert container_uses_image(container(), identity)
    assert container_uses_image(Container("c", "c", HEX[:12], "", "exited", 0), identity)
    assert container_uses_image(Container("c", "c", "sha256:" + HEX, "", "exited", 0), identity)
    assert container_uses_image(Container("c", "c", "app", "", "exited", 0), identity, ["app:latest"])
    assert not container_uses_image(Container("c", "c", "app", "sha256:other", "exited", 0), identity, ["app:latest"])
    assert not container_uses_image(Container("c", "c", "", "", "exited", 0), identity)


def test_a_network_is_used_by_name_where_a_container_was_never_started() -> None:
    raw = {"Id": "c", "State": "created", "NetworkSettings": {"Networks": {"shop": {"NetworkID": ""}}}}
    assert container_uses_network(parse_container(raw), "n1", "shop")
    raw["NetworkSettings"] = {"Networks": {"x": {"NetworkID": "n1"}}}
    assert container_uses_network(parse_container(raw), "n1", "renamed")
    assert not container_uses_network(parse_container(raw), "n2", "shop")
    raw = {"Id": "c", "State": "created", "HostConfig": {"NetworkMode": "shop"}}
    assert container_uses_network(parse_container(raw), "n1", "shop")


def test_an_image_that_a_container_mounts_is_used() -> None:
    """The engine counts no container of it, and removes it by its id under a running one."""
    identity = "sha256:" + HEX
    mounting = Container("c", "c", "app:1", "sha256:1", "running", 0, mounts=(Mount("image", "data:1", "/x", "/d"),))
    assert container_uses_image(mounting, identity, ["data:1"])
    assert container_uses_image(mounting, identity, ["docker.io/library/data:1"])
    assert not container_uses_image(mounting, identity, ["data:2"])
    for reference in (identity, HEX[:12], "data@sha256:5"):
        mounting = Container("c", "c", "a", "x", "running", 0, mounts=(Mount("image", reference, "/x", "/d"),))
        assert container_uses_image(mounting, identity, ["data@sha256:5"]), reference
    # A volume of that name is something else.
    other = Container("c", "c", "app:1", "sha256:1", "running", 0, mounts=(Mount("volume", "data:1", "/x", "/d"),))
    assert not container_uses_image(other, identity, ["data:1"])


# -- what the engine writes -----------------------------------------------------------------------------------------


def test_an_image_without_tags_in_every_spelling() -> None:
    for tags in (None, [], ["<none>:<none>"]):
        image = parse_image({"Id": "sha256:1", "RepoTags": tags, "RepoDigests": ["<none>@<none>"], "Created": 1})
        assert image.dangling
        assert image.digests == ()
    assert not parse_image({"Id": "sha256:1", "RepoTags": ["app@sha256:12"]}).dangling


def test_counts_that_were_not_made_are_unknown() -> None:
    image = parse_image({"Id": "sha256:1", "SharedSize": -1, "Containers": -1})
    assert (image.shared, image.containers) == (None, None)
    image = parse_image({"Id": "sha256:1", "SharedSize": 0, "Containers": 0})
    assert (image.shared, image.containers) == (0, 0)


def test_unpacked_bytes_of_all_platforms() -> None:
    manifests = [
        {"ImageData": {"Size": {"Unpacked": 5}}},
        {"ImageData": None},
        {"ImageData": {"Size": {"Unpacked": 7}}},
    ]
    assert parse_image({"Id": "sha256:1", "Manifests": manifests}).unpacked == 12


def test_parents_of_the_build_cache_under_each_key() -> None:
    assert parse_cache_entry({"ID": "a", " Parents": ["b"]}).parents == ("b",)
    assert parse_cache_entry({"ID": "a", "Parents": ["b", "c"]}).parents == ("b", "c")
    assert parse_cache_entry({"ID": "a", "Parent": "b"}).parents == ("b",)
    assert parse_cache_entry({"ID": "a", "Parent": ""}).parents == ()


def test_disk_usage_in_both_forms() -> None:
    legacy = {"LayersSize": 7, "Images": [1], "Containers": [2], "Volumes": None, "BuildCache": [4]}
    verbose = {
        "ImageUsage": {"TotalSize": 7, "Items": [1]},
        "ContainerUsage": {"Items": [2]},
        "VolumeUsage": {"Items": None},
        "BuildCacheUsage": {"Items": [4]},
    }
    assert parse_disk_usage(legacy) == parse_disk_usage(verbose)
    assert parse_disk_usage({**legacy, **verbose}) == parse_disk_usage(legacy)
    assert parse_disk_usage({}).layers_size == 0


def test_a_containers_own_name_is_not_that_of_a_link() -> None:
    assert parse_container({"Id": "c", "Names": ["/other/web", "/web"]}).name == "web"
    assert parse_container({"Id": HEX, "Names": []}).name == HEX[:12]


def test_networks_that_others_use_unseen() -> None:
    assert parse_network({"Name": "n", "ConfigOnly": True}).predefined
    assert parse_network({"Name": "n", "Ingress": True}).predefined
    assert parse_network({"Name": "bridge"}).predefined
    assert not parse_network({"Name": "n"}).predefined


def test_volumes_that_are_anonymous() -> None:
    def volume(**facts: Any) -> Volume:
        return parse_volume({"Name": HEX, "Driver": "local", **facts})

    assert volume().anonymous
    assert volume(Name="x", Labels={"com.docker.volume.anonymous": ""}).anonymous
    assert volume(Labels={"com.docker.volume.anonymous": "", "owner": "me"}).anonymous
    assert not volume(Labels={"owner": "me"}).anonymous
    assert not volume(Options={"type": "nfs"}).anonymous
    assert not volume(Name="data").anonymous
    assert not volume(Name=HEX[:-1]).anonymous


@settings(deadline=None)
@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), st.integers(-12, 12))
def test_times_are_read_in_every_zone(moment: datetime, hours: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    assert parse_time(zoned.isoformat()) == pytest.approx(zoned.timestamp())
    assert parse_time(moment.isoformat() + "Z") == pytest.approx(moment.replace(tzinfo=timezone.utc).timestamp())


def test_times_that_are_none() -> None:
    for value in (None, "", "0001-01-01T00:00:00Z", "soon", "2026-13-01T00:00:00Z"):
        assert parse_time(value) is None
    assert parse_time("2026-11-24T04:03:57.123456789Z") == pytest.approx(1795493037.1234567)
    assert parse_time(17) == 17.0


@pytest.mark.parametrize(
    ("tag", "repository"),
    [
        ("app:1", "app"),
        ("app", "app"),
        ("localhost:5000/team/app:1", "localhost:5000/team/app"),
        ("localhost:5000/app", "localhost:5000/app"),
        ("app@sha256:00", "app"),
    ],
)
def test_repositories(tag: str, repository: str) -> None:
    assert repository_of(tag) == repository
