# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tree looked through by GNU find and walked by ourselves: the same end, whatever is in it and whatever happens meanwhile."""

from __future__ import annotations

import os
import random
import re
import shutil
import stat
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit import permission_find, permission_walk
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_find import (
    Siblings,
    batches,
    gnu_find,
    plain_names,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_look import Owners
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_policy import permission_policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.sensitive_names import (
    ORDINARY,
    ORDINARY_ENDINGS,
    ORDINARY_PATH,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core import walker

OPTIONS: dict[str, Any] = {
    "backups": [], "exclude": [], "rules": None, "docker_socket": [], "fix": False, "readers": [], "service_users": [], "undo": None,
    "fail_on": "high", "waivers": [], "update_baseline": False, "sarif": None,
}  # fmt: skip
NAMES = [
    b".env", b".env~", b"prod.env", b"a.js", b"b.json", b"credentials.json", b"id_rsa", b"site.pem", b"dump", b"README",
    b"a.JPG", b"new\nline.js", b"\xff\xfe.js", b"\xff.key", b"-name", b"(", b"*.js", b"\\0", b" x.js", b"x.tar.gz",
    b"f 644 0 0 1 2 3 4 .", b"deploy.sh", b"\xc3\xa9.png", b".hidden.js", b"x.js\n",
]  # fmt: skip
DIRECTORIES = [
    b"backups",
    b"scripts",
    b"node_modules",
    b".git",
    b"src",
    b"-o",
    b"d\n",
    b"\xff",
    b"{}",
    b"a b",
    b"uploads",
]
MODES = [0o644, 0o644, 0o644, 0o600, 0o640, 0o666, 0o755, 0o777, 0o4755, 0o2755, 0o1777]
CONTENTS = [b"", b"x", b"\x6d\xe2\x99\x81", b"-----BEGIN PRIVATE KEY-----"]


@pytest.fixture
def by_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a large tree: hardly anything is walked by ourselves."""
    assert gnu_find(), "these tests need GNU find"
    monkeypatch.setattr(permission_walk, "SMALL", 5)


def grow(root: bytes, chance: random.Random, depth: int = 0) -> None:
    os.makedirs(root, exist_ok=True)
    for name in chance.sample(NAMES, chance.randint(0, 6)):
        path = os.path.join(root, name)
        with open(path, "wb") as handle:
            handle.write(chance.choice(CONTENTS))
        if os.geteuid() == 0 and chance.random() < 0.2:
            os.chown(path, chance.choice([0, 1, 61234]), chance.choice([0, 1, 61234]))
        os.chmod(path, chance.choice(MODES))
    if chance.random() < 0.3:
        os.symlink(chance.choice([b"..", b"/etc", b"a.js", b"../../../../../x"]), os.path.join(root, b"link"))
    if chance.random() < 0.2:
        os.mkfifo(os.path.join(root, b"pipe.key"))
    if depth < 3:
        for name in chance.sample(DIRECTORIES, chance.randint(0 if depth else 3, 4)):
            grow(os.path.join(root, name), chance, depth + 1)
    if os.geteuid() == 0 and chance.random() < 0.2:
        os.chown(root, chance.choice([0, 1, 61234]), chance.choice([0, 1]))
    os.chmod(root, chance.choice([0o755, 0o755, 0o775, 0o777, 0o1777]))


def audit(root: Path, **options: Any) -> tuple[Any, Any, int]:
    policy = permission_policy({**OPTIONS, "paths": [str(root)], **options})
    return permission_walk.walk_tree(str(root), [str(root)], policy, Owners())


def both(root: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[Any, Any, int]:
    found = audit(root, **options)
    with monkeypatch.context() as patch:
        patch.setattr(permission_walk, "gnu_find", lambda: "")
        walked = audit(root, **options)
    assert found == walked
    return found


OWN = [
    {"id": "own", "title": "t", "names": ["*.js"], "any_bits": "0100"},
    {"id": "dirs", "title": "t", "kind": "directory", "any_bits": "0020"},
]


reached: Counter[str] = Counter()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    st.randoms(use_true_random=False), st.sampled_from([None, OWN, [{"id": "own", "title": "t", "owners": ["root"]}]])
)
def test_find_and_our_own_walk_come_to_the_same_end(
    by_find: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chance: random.Random, rules: Any
) -> None:
    root = tmp_path / "shop"
    try:
        grow(os.fsencode(root), chance)
        asked: list[Siblings] = []
        real = permission_find.look_through

        def look_through(*arguments: Any) -> Any:
            asked.append(arguments[2])
            found = real(*arguments)
            assert found is not None, "find did not do it"
            return found

        monkeypatch.setattr(permission_walk, "look_through", look_through)
        found, closed, entries = both(root, monkeypatch, rules=rules, exclude=["upl*"])
        assert (
            entries
            == sum(
                len([name for name in directories + files if not os.path.islink(os.path.join(path, name))])
                for path, directories, files in pruned(os.fsencode(root))
            )
            + 1
        )
        assert closed == []
        reached.update(found=bool(found), asked=bool(asked), entries=entries)
    finally:
        shutil.rmtree(root)


def test_the_property_was_reached() -> None:
    assert reached["found"] > 5 and reached["asked"] > 5 and reached["entries"] > 200


def pruned(root: bytes) -> Any:
    for path, directories, files in os.walk(root):
        yield path, list(directories), files
        directories[:] = [name for name in directories if name not in (b"node_modules", b".git") and name[:3] != b"upl"]


def test_the_two_tests_of_an_ordinary_name_agree() -> None:
    """The regular expression that find is given lets nothing pass that ours would keep."""
    theirs = re.compile(ORDINARY_PATH.encode() + rb"\Z", re.DOTALL)
    names = [name.decode("utf-8", "surrogateescape") for name in NAMES]
    names += [
        stem + "." + ending
        for stem in ("a", ".a", "c", "S", "\n", "a.b")
        for ending in (*ORDINARY_ENDINGS, "json", "x")
    ]
    for name in names:
        assert bool(ORDINARY.match(name)) == bool(theirs.match(b"./d/" + os.fsencode(name))), name


def test_a_subtree_that_find_cannot_finish_is_walked(
    by_find: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "shop"
    for name in ("a", "b"):
        (root / name / "deep").mkdir(parents=True)
        (root / name / "deep/.env").write_text("x")
        (root / name / "deep/.env").chmod(0o644)
    expected = audit(root)
    assert len(expected[0]) == 2
    for script in ("exit 1", "printf 'f 644 0'; kill -9 $$", "printf '1\\0'; exit 1"):
        broken = tmp_path / "find"
        broken.write_text(f"#!/bin/sh\n{script}\n")
        broken.chmod(0o755)
        monkeypatch.setattr(permission_walk, "gnu_find", lambda: str(tmp_path / "find"))
        assert audit(root) == expected
    monkeypatch.setattr(permission_walk, "gnu_find", lambda: str(tmp_path / "missing"))
    assert audit(root) == expected


def test_a_directory_swapped_for_a_link_leads_nowhere(
    by_find: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, outside = tmp_path / "shop", tmp_path / "outside"
    (root / "a/sub").mkdir(parents=True)
    (outside / "sub").mkdir(parents=True)
    (outside / "sub/id_rsa").write_text("x")
    (outside / "sub/id_rsa").chmod(0o644)
    real = permission_find.look_through

    def look_through(program: str, top: str, batch: Siblings, selection: Any) -> Any:
        if (root / "a").is_symlink() is False:
            os.rename(root / "a", tmp_path / "moved")
            (root / "a").symlink_to(outside)
        return real(program, top, batch, selection)

    monkeypatch.setattr(permission_walk, "look_through", look_through)
    found, _closed, _entries = audit(root)
    assert found == []


def test_a_thousand_levels(by_find: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "deep"
    root.mkdir()
    descriptor = os.open(root, os.O_RDONLY)
    for _ in range(1000):
        os.mkdir("n" * 40, dir_fd=descriptor)
        below = os.open("n" * 40, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open(".env", os.O_CREAT, mode=0o644, dir_fd=descriptor))
    os.symlink("/etc", "out", dir_fd=descriptor)
    os.close(descriptor)
    try:
        found, closed, entries = both(root, monkeypatch)
        assert entries == 1002 and closed == [] and [len(item.path) > 40000 for item in found] == [True, True]
        monkeypatch.setattr(walker, "DEEPEST", 500)
        found, closed, entries = both(root, monkeypatch)
        assert [item.code for item in closed] == ["depth"] and found == []
    finally:
        subprocess.run(["rm", "-rf", str(root)], check=True)


def test_only_globs_that_both_understand_alike_go_to_find() -> None:
    assert plain_names(["node_modules", "cache*"]) == ("node_modules", "cache*")
    for other in ("storage/cache", "[ab]", "a?", "a\\b", "\u00e9"):
        assert plain_names([other]) is None


@given(st.lists(st.sampled_from(["/r/a", "/r/b", "/r"]), max_size=400))
def test_batches_hold_each_directory_once(parents: list[str]) -> None:
    starts = [f"{parent}/{number}" for number, parent in enumerate(parents)]
    made = batches(starts)
    assert sorted(path for batch in made for path in batch.paths()) == sorted(starts)
    assert all(sum(len(name) + 3 for name in batch.names) < 1 << 16 for batch in made)


def test_another_find_is_not_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "find"
    other.write_text("#!/bin/sh\necho 'BusyBox v1.36.1 multi-call binary.'\n")
    other.chmod(0o755)
    monkeypatch.setattr(permission_find, "_PLACES", (str(tmp_path / "missing"), str(other)))
    assert gnu_find() == ""
    other.write_text("#!/bin/sh\necho 'find (GNU findutils) 4.9.0'\n")
    assert gnu_find() == str(other)
    assert stat.S_ISREG(other.stat().st_mode)
