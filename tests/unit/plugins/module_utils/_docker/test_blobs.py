# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of an image's bytes its snapshots take, and when that is not known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker import blobs
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.blobs import blob_directory, unpacked_bytes

SNAPSHOTS = 4096


class Store:
    """A directory of blobs as containerd keeps them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "sha256").mkdir(parents=True)

    def put(self, content: Any) -> dict[str, Any]:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        value = hashlib.sha256(data).hexdigest()
        (self.directory / "sha256" / value).write_bytes(data)
        return {"digest": f"sha256:{value}", "size": len(data)}

    def image(self, name: bytes) -> tuple[dict[str, Any], int]:
        """The manifest of an image of two layers, and the bytes of all."""
        config, layers = self.put(b"config of " + name), [self.put(name * 10), self.put(name * 20)]
        manifest = self.put({"config": config, "layers": layers})
        return manifest, sum(blob["size"] for blob in (manifest, config, *layers))

    def unpacked(self, *images: tuple[str, int]) -> Any:
        listed = [{"Id": identity, "Size": size} for identity, size in images]
        return unpacked_bytes(str(self.directory), listed)

    def remove(self, digest: str) -> None:
        (self.directory / digest.replace(":", "/")).unlink()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "blobs")


def test_what_is_left_of_an_image_without_its_blobs_are_its_snapshots(store: Store) -> None:
    (one, size), (other, more) = store.image(b"one"), store.image(b"other")
    index = store.put({"manifests": [one, other, {"digest": "sha256:" + "0" * 64, "size": 500}]})
    assert store.unpacked((one["digest"], size + SNAPSHOTS), (index["digest"], size + more + 1)) == {
        one["digest"]: SNAPSHOTS,
        index["digest"]: 1,
    }


def test_a_blob_that_was_not_pulled_takes_nothing(store: Store) -> None:
    manifest, size = store.image(b"lazy")
    layer = store.put(b"lazy" * 20)
    store.remove(layer["digest"])
    assert store.unpacked((manifest["digest"], size - layer["size"])) == {manifest["digest"]: 0}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"config": null, "layers": []}',
        b'{"config": {"digest": "sha256:../../etc", "size": 1}, "layers": []}',
        b'{"manifests": null}',
        b'{"manifests": [{"size": 1}]}',
        b" " * (blobs._LARGEST_MANIFEST + 1),
    ],
)
def test_of_what_cannot_be_understood_nothing_is_known(store: Store, content: bytes) -> None:
    manifest, size = store.image(b"good")
    nonsense = store.put(content)
    assert store.unpacked((manifest["digest"], size), (nonsense["digest"], size)) is None


def test_of_an_image_of_another_store_nothing_is_known(store: Store) -> None:
    manifest, size = store.image(b"gone")
    assert store.unpacked((manifest["digest"], size - 1)) is None, "less than its blobs"
    store.remove(manifest["digest"])
    assert store.unpacked((manifest["digest"], size)) is None
    assert store.unpacked(("", size)) is None
    assert store.unpacked(("<none>", size)) is None


def test_indexes_that_list_each_other_end(store: Store) -> None:
    identity = "sha256:" + "a" * 64
    (store.directory / "sha256" / ("a" * 64)).write_text(json.dumps({"manifests": [{"digest": identity}]}))
    assert store.unpacked((identity, 1)) is None


def test_the_engines_own_containerd_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "_PACKAGED", str(tmp_path / "packaged"))
    assert blob_directory(str(tmp_path)) is None
    for parent in (tmp_path / "packaged", tmp_path / "containerd/daemon"):
        directory = parent / "io.containerd.content.v1.content/blobs"
        directory.mkdir(parents=True)
        assert blob_directory(str(tmp_path)) == str(directory)
