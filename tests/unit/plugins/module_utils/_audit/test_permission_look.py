# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The closer look at real files: content, access control lists, owners, the directories above, links, SSH."""

from __future__ import annotations

import gzip
import io
import os
import pwd
import socket
import struct
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit import permission_look
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.access_list import named_entries
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.file_modes import identified, status_of
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_look import Owners
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_policy import permission_policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_problems import problems_of
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_walk import walk_tree
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.sensitive_content import content_class
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.sensitive_names import (
    ORDINARY,
    ORDINARY_ENDINGS,
    name_class,
    name_says_nothing,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.ssh_access import (
    authorized_keys,
    look_at_ssh,
)

AS_ROOT = pytest.mark.root
DUMP = b"\x6d\xe2\x99\x81" + b"\0" * 60
KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
SQL = b"-- MySQL dump 10.13  Distrib 8.0.36\n"
NAMELESS = 61234
OPTIONS: dict[str, Any] = {
    "backups": [], "exclude": [], "rules": None, "docker_socket": [], "fix": False, "readers": [], "service_users": [], "undo": None,
    "fail_on": "high", "waivers": [], "update_baseline": False, "sarif": None,
}  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir(mode=0o755)
    return root


def broken(root: Path, **options: Any) -> dict[str, list[tuple[str, str]]]:
    policy = permission_policy({**OPTIONS, "paths": [str(root)], **options})
    facts, closed, _entries = walk_tree(str(root), [str(root)], policy, Owners())
    found: dict[str, list[tuple[str, str]]] = {}
    for problem in problems_of(facts, [], closed, policy.rules):
        found.setdefault(problem.rule.name, []).append((os.path.relpath(problem.path, root), problem.note))
    return found


def write(path: Path, data: bytes = b"x", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    return path


def tar(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, data in (("20261124/manifest.json", b"{}" * 400), (name, DUMP)):
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    # With the moment in it, two workers would call a test by two names.
    return gzip.compress(buffer.getvalue(), mtime=0)


def access_list(*entries: tuple[int, int, int], group: int = 0) -> bytes:
    base = [(0x01, 6, 0xFFFFFFFF), (0x04, group, 0xFFFFFFFF), (0x10, 7, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF)]
    entries = tuple(sorted([*base, *entries], key=lambda entry: (entry[0], entry[2])))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (DUMP, "dump"),
        (gzip.compress(DUMP, mtime=0), "dump"),
        (SQL, "dump"),
        (b"-- note\n\n-- PostgreSQL database dump\n", "dump"),
        (b"PGDMP\x01", "dump"),
        (tar("20261124/mongo.archive.gz"), "dump"),
        (tar("dump/miniecom/users.bson"), "dump"),
        (tar("uploads/a.png"), ""),
        (KEY, "secret"),
        (b"-----BEGIN CERTIFICATE-----\n", ""),
        (b"save-exact=true\n//registry.example.com/:_authToken=Example-4471\n", "secret"),
        (b"_auth = c2hvcDpFeGFtcGxl\n", "secret"),
        (b"registry=https://registry.example.com/\n//registry.example.com/:_authToken=${NPM_TOKEN}\n", ""),
        (b"-- a migration\nCREATE TABLE a;\n", ""),
        (b"\x1f\x8b broken", ""),
        (b"", ""),
    ],
)
def test_what_a_file_is_by_its_content(data: bytes, expected: str) -> None:
    assert content_class(data) == expected


@given(st.binary(max_size=2000))
def test_any_content_has_an_answer(data: bytes) -> None:
    for head in (data, b"\x1f\x8b\x08" + data, gzip.compress(data), data[:257].ljust(257, b"0") + b"ustar" + data):
        assert content_class(head) in ("", "dump", "secret")


@given(st.text(min_size=1, max_size=12), st.sampled_from([*ORDINARY_ENDINGS, "json", "key", "env", "sql"]))
def test_an_ordinary_name_is_never_sensitive(stem: str, ending: str) -> None:
    name = f"{stem}.{ending}"
    if ORDINARY.match(name):
        assert name_class(name) == "" and not name_says_nothing(name)


def test_a_dump_is_found_wherever_and_however_it_is_called(shop: Path) -> None:
    write(shop / "storage/backup-of-monday", DUMP)
    write(shop / "old.gz", gzip.compress(SQL))
    write(shop / "schema.sql", b"CREATE TABLE a;")
    write(shop / "dump.sql", SQL)
    write(shop / "private", DUMP, 0o600)
    write(shop / "deploy_key", KEY)
    write(shop / "uploads/picture", b"\x89PNG")
    write(shop / ".npmrc", b"registry=https://registry.example.com/\n")
    write(shop / "api/.npmrc", b"//registry.example.com/:_authToken=Example-4471\n")
    found = broken(shop)
    assert {path for path, _note in found["dump-readable"]} == {"storage/backup-of-monday", "old.gz", "dump.sql"}
    assert {path for path, _note in found["secret-readable"]} == {"deploy_key", "api/.npmrc"}


def test_what_is_no_file_is_never_opened_and_a_huge_one_not_read(shop: Path) -> None:
    os.mkfifo(shop / "queue.pem")
    os.mkfifo(shop / "queue")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(shop / "api.sock"))
        with open(shop / "huge", "wb") as handle:
            handle.write(b"\0\xff")
            handle.truncate(2 << 30)
        (shop / "huge").chmod(0o644)
        assert broken(shop) == {}
    (shop / "queue").chmod(0o4777)
    assert broken(shop) == {}


@AS_ROOT
def test_owners_without_a_name_are_one_finding_each(shop: Path) -> None:
    for number in range(5):
        os.chown(write(shop / f"d/f{number}.js"), NAMELESS, 0)
    os.chown(write(shop / "g.js"), 0, NAMELESS)
    (shop / "empty").mkdir()
    os.chown(shop / "empty", NAMELESS, NAMELESS)
    found = broken(shop)
    assert sorted(found["file-without-owner"]) == [
        ("d/f0.js", f"uid {NAMELESS}"),
        ("g.js", f"gid {NAMELESS}"),
    ]
    assert found["directory-without-owner"] == [("empty", f"uid {NAMELESS}")]
    policy = permission_policy({**OPTIONS, "paths": [str(shop)]})
    facts, _closed, _entries = walk_tree(str(shop), [str(shop)], policy, Owners())
    assert sorted(item.count for item in facts) == [1, 1, 5]


@AS_ROOT
def test_an_access_control_list_on_a_sensitive_file(shop: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    os.setxattr(
        write(shop / ".env", mode=0o600), "system.posix_acl_access", access_list((2, 4, nobody), (2, 4, 0), (8, 6, 0))
    )
    os.setxattr(write(shop / "a.js"), "system.posix_acl_access", access_list((2, 4, nobody)))
    [(path, note)] = broken(shop)["secret-shared"]
    assert (
        path == ".env" and "user nobody may read" in note and "group root may write" in note and "user root" not in note
    )


@AS_ROOT
@pytest.mark.parametrize(
    ("name", "rule"), [(".env", "env-group-access"), ("id_rsa", "secret-group-access"), ("a.dump", "dump-group-access")]
)
def test_the_mask_of_an_access_control_list_is_not_taken_for_the_rights_of_the_group(
    shop: Path, name: str, rule: str
) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    path = write(shop / name, mode=0o600)
    os.setxattr(path, "system.posix_acl_access", access_list((2, 4, nobody)))
    assert path.stat().st_mode & 0o070 and set(broken(shop)) == {"secret-shared"}
    os.setxattr(path, "system.posix_acl_access", access_list((2, 4, nobody), group=4))
    assert set(broken(shop)) == {"secret-shared", rule}
    path.chmod(0o600)
    assert broken(shop) == {}, "nothing is left under this mask"
    os.removexattr(path, "system.posix_acl_access")
    path.chmod(0o640)
    assert set(broken(shop)) == {rule}


@AS_ROOT
def test_an_access_control_list_is_looked_for_on_the_file_itself(shop: Path, tmp_path: Path) -> None:
    """Not by its path, in which somebody may have put a link meanwhile."""
    nobody = pwd.getpwnam("nobody").pw_uid
    path = write(shop / "a/.env", mode=0o660)
    os.setxattr(path, "system.posix_acl_access", access_list((2, 4, nobody)))
    plain = status_of(os.stat(path))
    assert identified(str(shop), str(path), plain).acl
    (shop / "a").rename(tmp_path / "elsewhere")
    (shop / "a").symlink_to(tmp_path / "elsewhere")
    assert not identified(str(shop), str(path), plain).acl, "it is not below the shop any more"


def test_the_mask_bounds_an_access_control_list() -> None:
    masked = struct.pack("<IHHIHHI", 2, 2, 6, 33, 0x10, 4, 0xFFFFFFFF)
    assert named_entries(masked) == [(2, 33, 4)]
    for nonsense in (b"", b"\0", struct.pack("<I", 9), struct.pack("<IH", 2, 2)):
        assert named_entries(nonsense) == []


@AS_ROOT
def test_where_others_can_replace_a_sensitive_file(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    write(shop / "config/live/.env", mode=0o600)
    write(shop / "plain/a.js")
    assert broken(shop) == {}
    for path in ("config", "plain"):
        os.chown(shop / path, 0, nobody.pw_gid)
        (shop / path).chmod(0o775)
    [(path, note)] = broken(shop)["secret-replaceable"]
    assert path == "config" and "nobody" in note and "may write" in note
    (shop / "config").chmod(0o1775)
    assert broken(shop) == {}, "with the sticky bit nobody replaces what belongs to another"
    os.chown(shop / "config/live", nobody.pw_uid, 0)
    [(path, note)] = broken(shop)["secret-replaceable"]
    assert path == "config/live" and "nobody owns it" in note
    os.chown(shop / "config/live", 0, 0)
    os.setxattr(shop / "config/live", "system.posix_acl_access", access_list((2, 7, nobody.pw_uid)))
    [(path, note)] = broken(shop)["secret-replaceable"]
    assert path == "config/live" and "user nobody may write" in note
    assert broken(shop, fix=["world-writable-directory"])["secret-replaceable"]


@AS_ROOT
def test_who_can_replace_the_shop_itself(shop: Path) -> None:
    above = shop.parent
    above.chmod(0o777)
    [(path, note)] = broken(shop)["parent-replaceable"]
    assert path == ".." and "0777" in note
    assert "world-writable-directory" not in broken(shop), "what lies above is no part of what is mended"
    above.chmod(0o1777)
    assert broken(shop) == {}
    above.chmod(0o755)
    os.chown(above, pwd.getpwnam("nobody").pw_uid, 0)
    assert "nobody owns it" in broken(shop)["parent-replaceable"][0][1]


def test_links_that_lead_out(shop: Path, tmp_path: Path) -> None:
    write(shop / "a/file.js")
    (shop / "inside").symlink_to("a/file.js")
    (shop / "a/up").symlink_to("../a")
    (shop / "loop").symlink_to("loop")
    assert broken(shop) == {}
    (shop / "out").symlink_to("../elsewhere")
    (shop / "dangling").symlink_to("/nonexistent/x")
    (shop / "through").symlink_to("out/deeper")
    assert dict(broken(shop)["link-outside"]) == {
        "out": f"to {tmp_path}/elsewhere",
        "dangling": "to /nonexistent/x",
        "through": f"to {tmp_path}/elsewhere/deeper",
    }


def test_the_owner_of_the_path_is_trusted_and_not_that_of_a_directory_in_it(shop: Path) -> None:
    if os.geteuid():
        pytest.fail("this test needs root")
    nobody = pwd.getpwnam("nobody")
    for name in ("a", "b", "c"):
        write(shop / name / "x.js")
        os.chown(shop / name, nobody.pw_uid, 0)
    os.chown(write(shop / ".env", mode=0o600), nobody.pw_uid, 0)
    assert broken(shop)["secret-owner"] == [(".env", f"uid {nobody.pw_uid}")]


def test_a_rule_of_ones_own_is_examined(shop: Path) -> None:
    write(shop / "uploads/evil.png", mode=0o755)
    write(shop / "uploads/fine.png")
    write(shop / "run.js", mode=0o755)
    own = {"id": "uploads-executable", "title": "t", "paths": ["uploads/*"], "any_bits": "0111"}
    assert broken(shop, rules=[own])["uploads-executable"] == [("uploads/evil.png", "mode 0755")]
    named = {"id": "no-maps", "title": "t", "names": ["*.map"]}
    write(shop / "a.map")
    assert broken(shop, rules=[named])["no-maps"] == [("a.map", "mode 0644")]


AUTHORIZED = """# keys
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGmFlKNkmIqqXNTCMsUzYjdLBgo2sEUcr2o6nuHbH/x4 alice@laptop
from="10.0.0.1",command="echo a b" ssh-rsa AAAAB3NzaC1yc2E= deploy
ssh-ed25519 not-base64!
broken
"""


def test_authorized_keys() -> None:
    keys = authorized_keys(AUTHORIZED)
    assert [text for _mark, text in keys] == ["ssh-ed25519 alice@laptop", "ssh-rsa deploy"]
    assert all(mark.startswith("SHA256:") and len(mark) == 50 for mark, _text in keys)


@given(st.text(max_size=200))
def test_any_list_of_keys_is_read(text: str) -> None:
    authorized_keys(text)


def test_the_ssh_files_of_a_service_user(tmp_path: Path) -> None:
    home = tmp_path / "home"
    base = home / ".ssh"
    write(base / "authorized_keys", AUTHORIZED.encode(), 0o664)
    write(base / "id_ed25519", KEY, 0o640)
    write(base / "id_ed25519.pub", b"ssh-ed25519 AAAA", 0o644)
    os.mkfifo(base / "pipe")
    (base / "link").symlink_to("/etc/passwd")
    base.chmod(0o700)
    user = pwd.struct_passwd(("shop", "x", os.geteuid(), os.getegid(), "", str(home), "/bin/sh"))

    def names(user: pwd.struct_passwd) -> set[tuple[str, str]]:
        return {(item.rule.name, os.path.basename(item.path)) for item in problems_of(look_at_ssh([user]), [], [])}

    expected = {
        ("ssh-writable", "authorized_keys"),
        ("ssh-key-readable", "id_ed25519"),
        ("ssh-authorized-key", "authorized_keys"),
    }
    assert names(user) == expected
    assert len([item for item in look_at_ssh([user]) if item.subject]) == 2
    if os.geteuid() == 0:
        other = pwd.struct_passwd(("shop", "x", 1, 1, "", str(home), "/bin/sh"))
        assert names(other) == expected, "root owns them"
        os.chown(base / "id_ed25519", 2, 2)
        assert ("ssh-owner", "id_ed25519") in names(other)
    assert look_at_ssh([pwd.struct_passwd(("x", "x", 1, 1, "", "/nonexistent", ""))]) == []


def test_ssh_files_behind_links_are_looked_at_where_they_are(tmp_path: Path) -> None:
    """sshd follows both links."""
    elsewhere, lists = tmp_path / "elsewhere", tmp_path / "lists"
    write(elsewhere / "id_ed25519", KEY, 0o640)
    write(lists / "shop", AUTHORIZED.encode(), 0o664)
    (elsewhere / "authorized_keys").symlink_to(lists / "shop")
    (elsewhere / "other").symlink_to("/etc/passwd")
    elsewhere.chmod(0o770)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.ssh").symlink_to(elsewhere)
    user = pwd.struct_passwd(("shop", "x", os.geteuid(), os.getegid(), "", str(tmp_path / "home"), "/bin/sh"))
    found = {(item.rule.name, item.path) for item in problems_of(look_at_ssh([user]), [], [])}
    assert found == {
        ("ssh-writable", str(elsewhere)),
        ("ssh-key-readable", str(elsewhere / "id_ed25519")),
        ("ssh-writable", str(lists / "shop")),
        ("ssh-authorized-key", str(lists / "shop")),
    }


def test_only_one_lookup_for_each_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def has_name(number: int, group: bool) -> bool:
        asked.append(number)
        return True

    monkeypatch.setattr(permission_look, "has_name", has_name)
    owners = Owners()
    assert [owners.nameless(7, 8) for _ in range(3)] == ["", "", ""] and asked == [7, 8]
