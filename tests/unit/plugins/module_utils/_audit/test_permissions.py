# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a mode, and which mode is right: narrower, never wider, and never at the shop's expense."""

from __future__ import annotations

import itertools
import os
import stat
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.file_modes import change_mode, current_status
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_fix import (
    ModeChange,
    NarrowMode,
    User,
    granted,
    narrowed,
    plan_fixes,
    plan_undo,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_problems import (
    Facts,
    Problem,
    SocketFacts,
    Status,
    examine,
    examine_socket,
    file_traits,
    plainly_fine,
    problems_of,
    to_permission_findings,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_rules import RULES
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError, SkipAction
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.finding import fingerprint

NAMES = [".env", ".env.production", ".env.example", "site.key", "id_rsa", "id_rsa.pub", "a.js", "run.sh", "20261124.tar.gz",
         "manifest.json", "site.pem", ".npmrc", "X.KEY", "credentials.json", "notes", ".hidden", "a.p12"]  # fmt: skip
modes = st.integers(0, 0o7777)
ids = st.sampled_from([0, 33, 1000, 1001])
users = st.lists(
    st.builds(User, uid=ids, groups=st.frozensets(ids, max_size=2), name=st.sampled_from(["node", "www"])), max_size=3
)
FIXABLE = sorted(name for name, rule in RULES.items() if rule.remove)
# Mostly every rule: a few of eighteen rarely meet what a few files break.
wanted = st.just(frozenset(FIXABLE)) | st.frozensets(st.sampled_from(FIXABLE))
usual_modes = st.sampled_from([0o644, 0o640, 0o600, 0o755, 0o664, 0o666, 0o777]) | modes


def status(mode: int, uid: int = 0, gid: int = 0, kind: int = stat.S_IFREG, links: int = 1) -> Status:
    return Status(kind, mode, uid, gid, 1, 2, links)


def rules_of(
    name: str, mode: int, backups: bool = False, scripts: bool = False, uid: int = 0, pem: bool = False
) -> set[str]:
    traits = file_traits(name, uid, backups, scripts, frozenset((0,)), "secret" if pem else "")
    return {rule.name for rule, _note in examine(Facts(f"/srv/{name}", "/srv", status(mode, uid), traits))}


def rules_of_directory(mode: int) -> set[str]:
    return {rule.name for rule, _note in examine(Facts("/srv/d", "/srv", status(mode, kind=stat.S_IFDIR)))}


@pytest.mark.parametrize(
    ("name", "mode", "where", "expected"),
    [
        (".env", 0o600, "", set()),
        (".env", 0o400, "", set()),
        (".env", 0o644, "", {"env-readable"}),
        (".env", 0o640, "", {"env-group-access"}),
        (".env", 0o666, "", {"env-readable", "world-writable-file"}),
        (".env.production", 0o644, "", {"env-readable"}),
        (".env.example", 0o644, "", set()),
        (".env~", 0o644, "", {"env-readable"}),
        (".env-backup", 0o644, "", {"env-readable"}),
        (".env_old", 0o644, "", {"env-readable"}),
        ("prod.env", 0o644, "", {"env-readable"}),
        ("backup.env", 0o644, "", {"env-readable"}),
        (".envrc", 0o644, "", {"env-readable"}),
        ("prod.env.bak", 0o644, "", {"env-readable"}),
        ("example.env", 0o644, "", set()),
        (".env_sample", 0o644, "", set()),
        (".env-example", 0o644, "", set()),
        (".vault_pass.example", 0o644, "", set()),
        ("monkeyfile", 0o644, "", set()),
        ("schema.sql", 0o644, "", set()),
        (".environment", 0o644, "", set()),
        ("site.key", 0o644, "", {"secret-readable"}),
        ("SITE.KEY", 0o644, "", {"secret-readable"}),
        ("site.key", 0o640, "", {"secret-group-access"}),
        ("id_rsa", 0o644, "", {"secret-readable"}),
        (".git-credentials", 0o644, "", {"secret-readable"}),
        (".netrc", 0o644, "", {"secret-readable"}),
        (".pgpass", 0o644, "", {"secret-readable"}),
        ("mongo-keyfile", 0o644, "", {"secret-readable"}),
        ("keyfile", 0o644, "", {"secret-readable"}),
        ("rclone.conf", 0o644, "", {"secret-readable"}),
        (".vault_pass", 0o644, "", {"secret-readable"}),
        ("vault-password.txt", 0o644, "", {"secret-readable"}),
        ("site.key.old", 0o644, "", {"secret-readable"}),
        ("id_rsa~", 0o644, "", {"secret-readable"}),
        ("id_rsa.pub", 0o644, "", set()),
        ("a.js", 0o644, "", set()),
        ("a.js", 0o666, "", {"world-writable-program"}),
        ("notes", 0o666, "", {"world-writable-file"}),
        ("notes", 0o4755, "", {"setuid-file"}),
        ("notes", 0o2755, "", {"setgid-file"}),
        ("notes", 0o2644, "", set()),
        ("20261124.tar.gz", 0o644, "backups", {"backup-readable"}),
        ("20261124.tar.gz", 0o640, "backups", {"backup-group-access"}),
        ("20261124.tar.gz", 0o644, "", set()),
        ("20261124_020000.tar.gz", 0o644, "", {"dump-readable"}),
        ("mongo.archive.gz", 0o640, "", {"dump-group-access"}),
        (".env-old", 0o644, "backups", {"env-readable"}),
        ("manifest.json", 0o644, "backups", {"backup-sidecar-readable"}),
        ("run.sh", 0o644, "scripts", {"script-not-executable"}),
        ("run.sh", 0o755, "scripts", set()),
        ("run.sh", 0o644, "", set()),
    ],
)
def test_files(name: str, mode: int, where: str, expected: set[str]) -> None:
    assert rules_of(name, mode, where == "backups", where == "scripts") == expected


def test_a_pem_file_is_judged_by_its_content() -> None:
    assert rules_of("site.pem", 0o644) == set()
    assert rules_of("site.pem", 0o644, pem=True) == {"secret-readable"}


def test_the_owner_of_a_secret_must_be_trusted() -> None:
    assert rules_of(".env", 0o600, uid=1000) == {"secret-owner"}
    assert rules_of("a.js", 0o644, uid=1000) == set()


def test_directories() -> None:
    assert rules_of_directory(0o777) == {"world-writable-directory"}
    assert rules_of_directory(0o1777) == rules_of_directory(0o775) == set()


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "group", "members", "expected"),
    [
        (0o660, 0, 0, "root", [], set()),
        (0o660, 0, 998, "docker", [], set()),
        (0o660, 0, 998, "docker", ["deploy", "root"], {"docker-group-members"}),
        (0o666, 0, 998, "docker", [], {"docker-socket-open"}),
        (0o660, 1000, 998, "docker", [], {"docker-socket-owner"}),
        (0o660, 0, 100, "users", [], {"docker-socket-owner"}),
        (0o600, 0, 100, "users", ["a"], set()),
    ],
)
def test_docker_sockets(mode: int, uid: int, gid: int, group: str, members: list[str], expected: set[str]) -> None:
    assert {rule for rule, _note in examine_socket(True, mode, uid, gid, group, members)} == expected


def test_one_more_in_the_group_of_docker_is_news() -> None:
    """A waiver for one member says nothing of the next, who is as good as root as well."""
    owned = status(0o660, 0, 998, stat.S_IFSOCK)
    few, more = (
        to_permission_findings(problems_of([], [SocketFacts("/s", owned, True, "docker", people)], []))
        for people in (("deploy",), ("deploy", "mallory"))
    )
    assert [item.rule for item in few + more] == ["docker-group-members"] * 2
    assert fingerprint(b"k", few[0]) != fingerprint(b"k", more[0])


def test_the_quick_answer_is_never_wrong() -> None:
    reached = 0

    places = st.sampled_from([(False, False)] * 3 + [(True, False), (False, True)])
    names = st.sampled_from(NAMES) | st.sampled_from(
        ["a.js", "notes", "manifest.json", "run.sh", "logo.PNG", "package.json", "a.css"]
    )

    @given(names, usual_modes, places)
    def property_of_a_file(name: str, mode: int, place: tuple[bool, bool]) -> None:
        nonlocal reached
        if plainly_fine(name, mode, place[0]):
            reached += 1
            assert rules_of(name, mode, *place) == set()
        elif name == "a.js" and not place[0] and not mode & 0o6002:
            raise AssertionError("nearly every file of a tree is to be answered quickly")

    property_of_a_file()
    assert reached > 10


# -- fixes ------------------------------------------------------------------------------------------------------------


@given(modes, modes, ids, ids, users)
def test_a_mode_only_ever_narrows_and_nobody_who_uses_it_loses_access(
    mode: int, remove: int, uid: int, gid: int, people: list[User]
) -> None:
    item = status(mode, uid, gid)
    after, losers = narrowed(mode, remove, item, people)
    assert after & ~mode == 0
    assert mode & ~after & ~remove == 0
    if losers:
        assert after == mode
    for user in people:
        assert granted(item, mode, user) & 6 == granted(item, after, user) & 6


def test_fixes_narrow_strictly_and_undo_gives_back_exactly() -> None:
    reached: Counter[str] = Counter()
    links = st.sampled_from([1, 1, 1, 2])
    files = st.tuples(st.sampled_from(NAMES), usual_modes, ids, ids, st.booleans(), links)

    @given(st.lists(files, max_size=8), wanted, st.just([]) | users)
    def property_of_a_tree(tree: list[tuple[Any, ...]], rules: frozenset[str], people: list[User]) -> None:
        check_fixes(tree, rules, people, reached)

    property_of_a_tree()
    assert reached["narrowed"] > 40 and reached["kept"] > 10


def check_fixes(files: list[tuple[Any, ...]], rules: frozenset[str], people: list[User], reached: Counter[str]) -> None:
    problems, state = [], {}
    for index, (name, mode, uid, gid, backups, links) in enumerate(files):
        path = f"/srv/{index}/{name}"
        item = Status(stat.S_IFREG, mode, uid, gid, 1, index, links)
        state[path] = item
        problems += [
            Problem(rule, path, item, note, "/srv")
            for rule, note in examine(Facts(path, "/srv", item, file_traits(name, uid, backups)))
        ]
    plan = plan_fixes(problems, rules, people, "id")
    paths = [action.work.path for action in plan.actions]
    assert len(paths) == len(set(paths))
    after = dict(state)
    for action in plan.actions:
        reached["narrowed"] += 1
        before, narrow = action.work.before, action.work.after
        assert narrow != before and narrow & ~before == 0
        item = state[action.work.path]
        assert item.links == 1 and item.mode == before
        removable = 0
        for problem in problems:
            if problem.path == action.work.path and problem.rule.name in rules:
                removable |= problem.rule.remove
        assert before & ~narrow & ~removable == 0
        after[action.work.path] = replace(item, mode=narrow)
    reached["kept"] += len(plan.kept)
    touched = {problem.path for problem in problems if problem.rule.name in rules and problem.rule.remove}
    assert touched == set(paths) | {kept.target for kept in plan.kept}, "each is mended, or there is a reason"
    assert not (set(paths) & {kept.target for kept in plan.kept})
    undo = plan_undo((action.work, after[action.work.path]) for action in plan.actions)
    assert len(undo.actions) == len(plan.actions)
    for action in undo.actions:
        assert action.work.after == state[action.work.path].mode
        assert action.work.before == after[action.work.path].mode
    assert not plan_undo((action.work, state[action.work.path]) for action in plan.actions).actions


def one(
    mode: int, rule: str = "env-readable", uid: int = 0, gid: int = 0, people: list[User] | None = None
) -> tuple[str, str]:
    item = status(mode, uid, gid, stat.S_IFDIR if "directory" in rule else stat.S_IFREG)
    plan = plan_fixes([Problem(RULES[rule], "/srv/x", item)], frozenset([rule]), people or [], "id")
    if plan.actions:
        return "%04o" % plan.actions[0].work.after, plan.actions[0].reason
    return "kept", plan.kept[0].reason


NODE = User(1000, frozenset([1000]), "node (api, process 7)")


def test_the_shops_own_user_is_not_locked_out() -> None:
    assert one(0o644)[0] == "0600"
    assert one(0o644, uid=1000, people=[NODE])[0] == "0600"
    assert one(0o644, gid=1000, people=[NODE])[0] == "0640"
    kept, reason = one(0o644, people=[NODE])
    assert kept == "kept" and "node (api, process 7)" in reason
    assert one(0o777, "world-writable-directory", people=[NODE])[0] == "kept"
    assert one(0o777, "world-writable-directory")[0] == "0775"
    assert one(0o777, "world-writable-directory", uid=1000, people=[NODE])[0] == "0775"


def test_a_user_counts_only_where_it_works() -> None:
    elsewhere = User(1000, frozenset(), "node", ("/srv/uploads",))
    assert one(0o644, people=[elsewhere])[0] == "0600"
    assert one(0o644, people=[User(1000, frozenset(), "node", ("/srv",))])[0] == "kept"


def test_files_with_several_names_are_left_to_a_person() -> None:
    item = status(0o644, links=2)
    plan = plan_fixes([Problem(RULES["env-readable"], "/srv/.env", item)], frozenset(["env-readable"]), [], "id")
    assert not plan.actions and "hard links" in plan.kept[0].reason


def test_undo_leaves_alone_what_has_changed_since() -> None:
    note = noted(0o644, 0o600)
    cases = [None, Status(stat.S_IFREG, 0o600, 0, 0, 1, 99), status(0o640), status(0o644)]
    for case in cases:
        plan = plan_undo([(note, case)])
        assert not plan.actions and len(plan.kept) == 1
    assert plan_undo([(note, status(0o600))]).actions[0].work.after == 0o644


def noted(before: int, after: int, path: str = "/srv/x", born: int = 0) -> ModeChange:
    return ModeChange(path, "/srv", 1, 2, 0, 0, before, after, born)


@given(st.lists(st.integers(0, 0o777), min_size=2, max_size=5, unique=True), st.data())
def test_several_fixes_of_one_file_are_undone_as_one(modes: list[int], data: st.DataObject) -> None:
    notes = [noted(before, after) for before, after in itertools.pairwise(modes)][::-1]
    # A fix that was killed has noted what it did not do.
    now = data.draw(st.sampled_from(modes[1:]))
    plan = plan_undo([(note, status(now)) for note in notes])
    [action] = plan.actions
    assert (action.work.before, action.work.after) == (now, modes[0]) and not plan.kept
    done = plan_undo([(note, status(modes[0])) for note in notes])
    assert not done.actions and "as before the fix" in done.kept[0].reason and len(done.kept) == 1
    foreign = data.draw(st.integers(0, 0o777).filter(lambda mode: mode not in modes))
    left = plan_undo([(note, status(foreign)) for note in notes])
    assert not left.actions and "somebody has changed" in left.kept[0].reason and len(left.kept) == 1


def test_what_somebody_changed_between_two_fixes_stays() -> None:
    notes = [noted(0o660, 0o640), noted(0o666, 0o644)]
    [action] = plan_undo([(note, status(0o640)) for note in notes]).actions
    assert action.work.after == 0o660 and "somebody else" in action.reason
    again = [noted(0o666, 0o640), noted(0o666, 0o640)]
    [action] = plan_undo([(note, status(0o640)) for note in again]).actions
    assert action.work.after == 0o666 and "somebody else" not in action.reason


def test_another_file_under_a_used_number_is_no_part_of_the_chain() -> None:
    old, new = noted(0o666, 0o644, path="/srv/old"), noted(0o644, 0o600)
    plan = plan_undo([(new, status(0o600)), (old, None)])
    assert [action.work.after for action in plan.actions] == [0o644] and plan.kept[0].reason == "it is gone"
    renamed = [noted(0o644, 0o600, born=7), noted(0o666, 0o644, path="/srv/old", born=7)]
    present = replace(status(0o600), born=7)
    [action] = plan_undo([(renamed[0], present), (renamed[1], None)]).actions
    assert (action.work.path, action.work.after) == ("/srv/x", 0o666)


def test_nothing_is_fixed_that_was_not_asked_for() -> None:
    item = status(0o4666)
    problems = [Problem(RULES[name], "/srv/x", item) for name in ("setuid-file", "world-writable-file")]
    plan = plan_fixes(problems, frozenset(["world-writable-file"]), [], "id")
    assert plan.actions[0].work.after == 0o4664
    assert not plan_fixes(problems, frozenset(), [], "id").actions


# -- acting on one inode ----------------------------------------------------------------------------------------------


@pytest.fixture
def planned(tmp_path: Path) -> NarrowMode:
    """A change of mode of a real file, as planned a moment ago."""
    path = tmp_path / "shop" / "config" / ".env"
    path.parent.mkdir(parents=True)
    path.write_text("x")
    path.chmod(0o644)
    root = str(tmp_path / "shop")
    now = current_status(root, str(path))
    assert now is not None
    return NarrowMode(str(path), root, now.device, now.inode, now.uid, now.gid, 0o644, 0o600, now.born, "id")


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_the_mode_is_changed(planned: NarrowMode) -> None:
    change_mode(planned)
    assert mode_of(planned.path) == 0o600


def test_a_mode_changed_since_planning_is_left_alone(planned: NarrowMode) -> None:
    os.chmod(planned.path, 0o640)
    with pytest.raises(SkipAction, match="has changed since planning"):
        change_mode(planned)
    assert mode_of(planned.path) == 0o640


@pytest.mark.parametrize("born", [True, False], ids=["born", "not known when it was born"])
def test_another_file_under_the_name_is_left_alone(planned: NarrowMode, born: bool) -> None:
    planned = planned if born else replace(planned, born=0)
    os.rename(planned.path, planned.path + ".old")
    Path(planned.path).touch(0o644)
    os.chmod(planned.path, 0o644)
    with pytest.raises(SkipAction, match="another file"):
        change_mode(planned)
    assert mode_of(planned.path) == mode_of(planned.path + ".old") == 0o644


@pytest.mark.parametrize("part", ["file", "directory"])
def test_a_link_in_its_place_or_above_it_is_never_followed(planned: NarrowMode, tmp_path: Path, part: str) -> None:
    """Even where it leads to the very same inode."""
    moved = Path(planned.path if part == "file" else os.path.dirname(planned.path))
    os.rename(moved, tmp_path / "elsewhere")
    moved.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SkipAction):
        change_mode(planned)
    assert mode_of(planned.path) == 0o644
    assert part == "file" or current_status(planned.root, planned.path) is None


def test_what_is_gone_is_skipped(planned: NarrowMode) -> None:
    os.unlink(planned.path)
    with pytest.raises(SkipAction):
        change_mode(planned)


def test_a_refusal_names_the_file_and_the_next_step(planned: NarrowMode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thing that root cannot be made to fail at here: an immutable file or a read-only mount needs a device."""

    def refuse(*_arguments: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    with pytest.raises(MaintenanceError, match=r"cannot change the mode: .*/\.env \(code EPERM\)"):
        change_mode(planned)


def test_an_access_control_list_is_not_shut() -> None:
    """The group's bits are its mask: without them those whom it names would be shut out."""
    listed = replace(status(0o644), acl=True)
    [action] = plan_fixes(
        [Problem(RULES["env-readable"], "/srv/.env", listed)], frozenset(["env-readable"]), [], "id"
    ).actions
    assert action.work.after == 0o640
    listed = replace(listed, mode=0o640)
    problem = Problem(RULES["env-group-access"], "/srv/.env", listed)
    plan = plan_fixes([problem], frozenset(["env-group-access"]), [], "id")
    assert not plan.actions and "access control list" in plan.kept[0].reason
