# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may do what in the database, and that a password is kept before the server learns of it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.address import Address
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.database_roles import (
    KINDS,
    PRIVILEGES,
    KeepPassword,
    SeenUser,
    SetRole,
    SetUser,
    name_in_database,
    plan_users,
    privileges_of,
    same_privileges,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.database_users import (
    connection_string,
    read_kept,
    users_file,
)

ROOT = Path(__file__).resolve().parents[5]
WRITING = {"insert", "update", "remove", "compact", "reIndex", "createIndex", "createCollection", "fsync"}
DESTROYING = {"dropCollection", "dropIndex", "renameCollectionSameDB", "collMod"}


def as_it_should_be(kind: str) -> SeenUser:
    return SeenUser(kind, tuple(privileges_of(kind, "shop")), (), ("shop-%s@admin" % kind,), True, True, True)


def test_who_may_what() -> None:
    allowed = {kind: set().union(*PRIVILEGES[kind].values()) for kind in KINDS}
    assert not allowed["observer"] & (WRITING | DESTROYING), "it only looks"
    assert not allowed["maintainer"] & DESTROYING, "what drops or replaces collections is the restorer's alone"
    assert allowed["restorer"] >= DESTROYING
    for kind in KINDS:
        assert not allowed[kind] & {
            "anyAction",
            "dropDatabase",
            "createUser",
            "grantRole",
            "shutdown",
            "changePassword",
        }
        for privilege in privileges_of(kind, "shop"):
            resource = privilege["resource"]
            assert resource.get("db") in (None, "shop", "local"), "no other database"
            if resource.get("db") == "local":
                assert privilege["actions"] == ["find"]


@pytest.mark.parametrize(
    ("seen", "refused"),
    [
        (SeenUser("observer", roles=("root@admin",)), "a user of this name"),
        (SeenUser("observer", roles=()), "a user of this name"),
        (SeenUser("observer", role=({"resource": {"cluster": True}, "actions": ["shutdown"]},)), "a role of this name"),
        # The file is gone with the state directory, or its call was killed after the role.
        (SeenUser("observer", roles=("shop-observer@admin",)), ""),
        (SeenUser("observer", role=tuple(privileges_of("observer", "shop"))), ""),
        (SeenUser("observer", roles=("root@admin",), kept=True), ""),
    ],
)
def test_users_and_roles_of_others_are_left_alone(seen: SeenUser, refused: str) -> None:
    if refused:
        with pytest.raises(MaintenanceError, match=refused):
            plan_users([seen], "shop", [])
    else:
        assert plan_users([seen], "shop", []).actions


@given(st.permutations(privileges_of("maintainer", "shop")), st.sampled_from(KINDS))
def test_neither_order_counts(privileges: list[dict[str, Any]], kind: str) -> None:
    turned = [{"resource": entry["resource"], "actions": entry["actions"][::-1]} for entry in privileges]
    assert same_privileges(turned, privileges_of(kind, "shop")) is (kind == "maintainer")


SEEN = st.builds(
    SeenUser,
    st.sampled_from(KINDS),
    st.none() | st.sampled_from(KINDS).map(lambda kind: tuple(privileges_of(kind, "shop"))),
    st.sampled_from([(), ("root@admin",)]),
    st.none() | st.sampled_from([("shop-observer@admin",), ("root@admin",), ()]),
    st.booleans(),
    st.just(True),
    st.sampled_from([None, True, False]),
    st.booleans(),
    st.booleans(),
)
REACHED: Counter[str] = Counter()


@given(st.lists(SEEN, max_size=3, unique_by=lambda user: user.kind), st.lists(st.sampled_from(KINDS), max_size=2))
def test_role_then_file_then_server(seen: list[SeenUser], rotate: list[str]) -> None:
    try:
        plan = plan_users(seen, "shop", rotate)
    except MaintenanceError:
        assert not all(user.kept for user in seen), "what has its file here was made here"
        return
    for user in seen:
        works = [action.work for action in plan.actions if action.target == name_in_database("shop", user.kind)]
        order = [[SetRole, KeepPassword, SetUser].index(type(work)) for work in works]
        assert order == sorted(set(order)), "each at most once, the file before the server"
        REACHED.update(type(work).__name__ for work in works)
        kept = [work for work in works if isinstance(work, KeepPassword)]
        told = [work for work in works if isinstance(work, SetUser)]
        if kept and kept[0].fresh:
            assert told and told[0].password, "else the server would have the old one for ever"
        if not user.kept:
            assert kept and kept[0].fresh
        if user.kind in rotate:
            assert kept[0].fresh
        if user.roles is None:
            assert told[0].create and told[0].password
        assert bool(works) != (name_in_database("shop", user.kind) in {entry.target for entry in plan.kept})


def test_all_works_are_reached() -> None:
    test_role_then_file_then_server()
    assert set(REACHED) == {"SetRole", "KeepPassword", "SetUser"}


def test_what_is_right_stays() -> None:
    plan = plan_users([as_it_should_be(kind) for kind in KINDS], "shop", [])
    assert not plan.actions and len(plan.kept) == 3


def test_a_password_that_the_server_does_not_take_is_told_to_it() -> None:
    """Killed between file and server: it is the file that counts."""
    user = SeenUser(**{**as_it_should_be("observer").__dict__, "accepted": False})
    assert [action.work for action in plan_users([user], "shop", []).actions] == [SetUser("observer", False, True)]


def test_an_open_file_is_refused() -> None:
    user = SeenUser(**{**as_it_should_be("observer").__dict__, "safe": False})
    with pytest.raises(MaintenanceError, match="open to others"):
        plan_users([user], "shop", [])


@given(st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()))
def test_any_password_survives_its_file(password: str) -> None:
    text = connection_string(Address((("127.0.0.1", 27017),), "root", "x", direct=True), "shop", "observer", password)
    parts = urlsplit(text)
    assert unquote(parts.password or "") == password and parts.hostname == "127.0.0.1" and parts.path == "/shop"
    assert "'" not in text and "\n" not in text


def test_whose_file_it_is(tmp_path: Path) -> None:
    path = Path(users_file(str(tmp_path), "shop", "observer"))
    assert path.name == "shop-observer.env" and read_kept(str(path), "shop-observer") == (None, True)
    path.parent.mkdir()
    text = connection_string(Address((("127.0.0.1", 27017),), "root", "x"), "shop", "observer", "secret of it")
    path.write_text(f"MONGO_URI='{text}'\n")
    path.chmod(0o600)
    assert read_kept(str(path), "shop-observer") == ("secret of it", True)
    assert read_kept(str(path), "shop-maintainer") == (None, False)
    path.chmod(0o640)
    assert read_kept(str(path), "shop-observer") == (None, False)
    (tmp_path / "link").symlink_to(path)
    assert read_kept(str(tmp_path / "link"), "shop-observer") == (None, False)


def test_no_scheduled_job_holds_the_restorer() -> None:
    """Its file is named in no role, playbook or job: only a person names it."""
    found = []
    for folder in ("roles", "playbooks", "plugins/module_utils/_schedule"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".yml", ".py", ".j2") and re.search(r"-restorer|_as: restorer", path.read_text()):
                found.append(str(path))
    assert found == []
    specs = (ROOT / "roles/mongo_maintenance/meta/argument_specs.yml").read_text()
    choices = specs.partition("mongo_maintenance_as:")[2].partition("choices:")[2].split("mongo_maintenance", 1)[0]
    assert "maintainer" in choices and "restorer" not in choices
