# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.writable_layer import (
    DELETED,
    LayerContent,
    copy_out,
    list_archive,
    read_saved,
    sort_changes,
    unlike_entries,
)

DATA = ("/app/uploads",)


def changes(*paths: str, kind: int = 1) -> list[dict[str, object]]:
    return [{"Path": path, "Kind": kind} for path in paths]


def test_data_is_told_from_what_may_go_and_from_what_nobody_knows() -> None:
    found = sort_changes(
        [
            *changes(
                "/app", "/app/uploads", "/app/uploads/a.jpg", "/tmp", "/tmp/x", "/root", "/root/.npm/y", "/root/.npm"
            ),
            *changes(
                "/app/storage",
                "/app/storage/invoices",
                "/app/src",
                "/app/src/__pycache__",
                "/app/src/__pycache__/a.pyc",
            ),
            *changes("/var", "/var/shop", "/var/shop/carts.db"),
            *changes("/app/shipped", kind=DELETED),
        ],
        ["/app/storage"],
        DATA,
    )
    assert found == LayerContent(("/app/uploads",), ("/var/shop/carts.db",))
    assert sort_changes(changes("/var/shop/carts.db"), [], DATA, ["/var/shop"]) == LayerContent()
    assert sort_changes(changes("/app", "/app/uploads"), ["/app/uploads"], DATA) == LayerContent()
    # The name of another directory only begins like it.
    assert sort_changes(changes("/app/uploads-old"), [], DATA).unknown == ("/app/uploads-old",)


PATHS = st.lists(st.sampled_from(["app", "uploads", "tmp", "x", "storage", "y.jpg"]), min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)


@given(st.lists(PATHS, max_size=12, unique=True), st.lists(PATHS, max_size=2))
def test_no_file_is_left_out(paths: list[str], mounted: list[str]) -> None:
    """Each file in the layer is below what is carried, below a mount, known to be dispensable, or named."""
    every = sorted({"/".join(path.split("/")[:end]) for path in paths for end in range(2, path.count("/") + 2)})
    found = sort_changes(changes(*every), mounted, DATA)
    for path in every:
        if any(other.startswith(path + "/") for other in every):
            continue
        below = [
            place for place in (*mounted, *found.data, "/tmp", *found.unknown) if (path + "/").startswith(place + "/")
        ]
        above = [place for place in (*mounted, *DATA) if (place + "/").startswith(path + "/")]
        assert below or above, path


def archive(*entries: tuple[str, bytes | str], mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.mode = mode
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.LNKTYPE, content
                made.addfile(entry)
            else:
                entry.size = len(content)
                made.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def listed(data: bytes):  # type: ignore[no-untyped-def]
    return list_archive(io.BytesIO(data))


def test_every_difference_is_seen() -> None:
    saved = listed(archive(("a", b"one"), ("b", b"two")))
    assert unlike_entries(saved, listed(archive(("b", b"two"), ("a", b"one"), ("of the image", b"")))) == []
    assert unlike_entries(saved, listed(archive(("a", b"one")))) == ["b"]
    assert unlike_entries(saved, listed(archive(("a", b"eno"), ("b", b"two")))) == ["a"]
    assert unlike_entries(saved, listed(archive(("a", b"one"), ("b", b"two"), mode=0o600))) == ["a", "b"]
    # Which of two names of one file stands as the link is chance.
    assert unlike_entries(listed(archive(("a", b"one"), ("b", "a"))), listed(archive(("b", b"one"), ("a", "b")))) == []


def test_a_copy_that_is_cut_short_or_changed_is_no_copy(tmp_path: Path) -> None:
    whole = archive(("a", b"x" * 5000))
    path = tmp_path / "saved.tar"
    path.write_bytes(whole)
    assert list(read_saved(str(path))) == ["a"]
    path.write_bytes(whole[:2000])
    with pytest.raises(MaintenanceError, match="damaged"):
        read_saved(str(path))
    # Between two entries it is a row of whole ones, of which nobody knows how many are missing.
    path.write_bytes(archive(("a", b"x" * 5000), ("b", b"y"))[: 512 + 5120])
    with pytest.raises(MaintenanceError, match="damaged: it has no end"):
        read_saved(str(path))
    path.write_bytes(whole[:600] + b"y" + whole[601:])
    assert read_saved(str(path)) != listed(whole)
    with pytest.raises(MaintenanceError, match="cannot read"):
        read_saved(str(tmp_path / "none"))


class Engine:
    """An engine with one container, which has one file."""

    def __init__(self, data: bytes, state: str) -> None:
        self.data, self.state = data, state
        self.api = self

    def get(self, path: str) -> dict[str, Any]:
        return {"State": {"Status": self.state}}

    def get_archive(self, container: str, path: str, chunk_size: int) -> tuple[Iterator[bytes], dict[str, Any]]:
        return iter([self.data]), {}

    @contextmanager
    def errors(self, what: str, target: str) -> Iterator[None]:
        yield


@pytest.mark.parametrize("state", ["removing", "dead"])
def test_a_copy_is_not_replaced_by_what_is_left_of_a_container_that_goes(tmp_path: Path, state: str) -> None:
    path = tmp_path / "api-0.tar"
    engine: Any = Engine(archive(("uploads/a", b"photo"), ("uploads/b", b"other")), "exited")
    copy_out(engine, "id-api", "/app/uploads", str(path))
    whole = path.read_bytes()
    engine.data, engine.state = archive(("uploads/b", b"other")), state
    with pytest.raises(MaintenanceError, match="is being removed while its data are copied out"):
        copy_out(engine, "id-api", "/app/uploads", str(path))
    assert path.read_bytes() == whole
