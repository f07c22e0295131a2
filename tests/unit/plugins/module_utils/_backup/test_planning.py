# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue, manifest, planning
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
MIB = 1024 * 1024


def backup(hours: float, verified: bool = True, **changes: object) -> catalogue.Backup:
    started = NOW - timedelta(hours=hours)
    values = {
        "size": 50,
        "mtime_ns": 1,
        "sha256": "00",
        "started": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "verified": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "database": "shop",
        "components": ("uploads",),
        "sources": (("uploads", "/srv/uploads"),),
        "bytes_documents": 100,
        **changes,
    }
    encrypted = bool(values.pop("encrypted", False))
    name = catalogue.backup_name(started, encrypted)
    record = catalogue.VerificationRecord(**values) if verified else None  # type: ignore[arg-type]
    return catalogue.Backup(
        name, "/b/" + name, started.astimezone().replace(tzinfo=None), 50, 1, 1, encrypted, record, not verified
    )


def observation(*backups: catalogue.Backup, **changes: object) -> planning.BackupObservation:
    values: dict[str, object] = {
        "collections": 3,
        "documents": 10,
        "bytes_documents": 100 * MIB,
        "free": 1000 * MIB,
        "included": (planning.Included("uploads", "/srv/uploads", 10 * MIB, 5),),
        **changes,
    }
    return planning.BackupObservation(
        "shop", "localhost:27017", catalogue.Catalogue("/b", list(backups)), NOW, **values
    )  # type: ignore[arg-type]


POLICY = planning.BackupPolicy("/b", 20 * 3600, "20h", 256 * MIB)


def test_the_first_backup() -> None:
    plan = planning.plan_backup(observation(), POLICY, NOW)
    (action,) = plan.actions
    assert action.action == "back_up"
    assert action.reason == "there is no verified backup yet"
    assert action.predicted
    assert 60 * MIB <= action.bytes - 10 * MIB <= 61 * MIB


def test_a_fresh_verified_backup_is_reused() -> None:
    plan = planning.plan_backup(observation(backup(30), backup(3)), POLICY, NOW)
    assert plan.actions == []
    assert plan.kept[0].target == backup(3).path


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (backup(21), "is 21 h old, more than 20h"),
        (backup(3, verified=False), "has changed since it was verified"),
        (backup(3, database="other"), "is of another database"),
        (backup(3, components=()), "holds no uploads"),
        (backup(-3), "dated in the future"),
    ],
)
def test_what_is_not_reused_and_why(found: catalogue.Backup, reason: str) -> None:
    plan = planning.plan_backup(observation(found), POLICY, NOW)
    assert reason in plan.actions[0].reason


@pytest.mark.parametrize(
    ("changes", "policy", "reason"),
    [
        ({"sources": (("uploads", "/srv/other"),)}, {}, "does not say that its uploads came from /srv/uploads"),
        ({"sources": ()}, {}, "does not say that its uploads"),  # a record of an earlier version
        ({"consistency": "none"}, {"consistency": "locked"}, "has the consistency none"),
        ({"consistency": "locked"}, {"consistency": "snapshot"}, "has the consistency locked"),
        ({}, {"consistency": "locked"}, "has the consistency unknown"),
        ({"consistency": "snapshot"}, {"consistency": "oplog"}, "has the consistency snapshot"),
        ({"check": "checksums"}, {"check": "documents"}, "not checked document by document"),
        ({}, {"check": "documents"}, "not checked document by document"),
    ],
)
def test_what_lacks_something_that_was_asked_for_is_not_reused(
    changes: dict[str, object], policy: dict[str, object], reason: str
) -> None:
    asked = replace(POLICY, **policy)  # type: ignore[arg-type]
    assert reason in planning.plan_backup(observation(backup(3, **changes)), asked, NOW).actions[0].reason


@pytest.mark.parametrize(
    ("changes", "policy"),
    [
        ({"consistency": "locked"}, {"consistency": "locked"}),
        ({"consistency": "oplog"}, {"consistency": "snapshot"}),
        ({"consistency": "none"}, {"consistency": "auto"}),
        ({"consistency": "locked"}, {"consistency": "none"}),
        ({"check": "documents"}, {"check": "documents"}),
        ({"check": "documents"}, {"check": "checksums"}),
        ({"restore_tested": "2026-11-24T10:00:00Z"}, {"check": "documents"}),
    ],
)
def test_what_has_all_that_was_asked_for_or_more_is_reused(
    changes: dict[str, object], policy: dict[str, object]
) -> None:
    asked = replace(POLICY, **policy)  # type: ignore[arg-type]
    assert planning.plan_backup(observation(backup(3, **changes)), asked, NOW).actions == []


def test_what_lacks_files_is_reused_until_they_are_there() -> None:
    found = backup(3, lacking=(("uploads", "empty, though"),))
    lacking = planning.Included("uploads", "/srv/uploads", lacking="empty, though files are named")
    plan = planning.plan_backup(observation(found, included=(lacking,)), POLICY, NOW)
    assert plan.actions == [] and "uploads (/srv/uploads): empty, though files are named" in plan.warnings[0]
    (action,) = planning.plan_backup(observation(found), POLICY, NOW).actions
    assert "lacks files of uploads, which are there now" in action.reason
    # Whoever leaves uploads out on purpose gets no other backup on their account.
    assert planning.plan_backup(observation(found, included=()), POLICY, NOW).actions == []
    (action,) = planning.plan_backup(observation(included=(lacking,)), POLICY, NOW).actions
    assert isinstance(action.work, planning.MakeBackup)
    assert action.work.lacking == {"uploads": "empty, though files are named"}


def test_sources_that_are_not_asked_for_do_not_matter() -> None:
    assert planning.plan_backup(observation(backup(3, sources=()), included=[]), POLICY, NOW).actions == []


def test_one_lock_is_released_however_many_notes_there_are() -> None:
    plan = planning.plan_backup(observation(backup(3), locks_left=("1", "2")), POLICY, NOW)
    (action,) = plan.actions
    assert action.action == "release_lock"
    assert action.work == planning.ReleaseLock(("1", "2"))


def test_an_unencrypted_backup_is_no_substitute_for_an_encrypted_one() -> None:
    policy = planning.BackupPolicy("/b", 20 * 3600, "20h", 0, encrypted=True)
    assert "not encrypted" in planning.plan_backup(observation(backup(3)), policy, NOW).actions[0].reason
    assert planning.plan_backup(observation(backup(3, encrypted=True)), policy, NOW).actions == []


def test_an_older_fitting_backup_is_found_behind_a_newer_one_that_does_not_fit() -> None:
    plan = planning.plan_backup(observation(backup(5), backup(3, database="other")), POLICY, NOW)
    assert plan.kept[0].target == backup(5).path


def test_zero_always_makes_a_new_one() -> None:
    policy = planning.BackupPolicy("/b", 0, "0", 0)
    assert planning.plan_backup(observation(backup(0.01)), policy, NOW).actions


def test_an_empty_database_is_refused() -> None:
    for empty in ({"documents": 0}, {"collections": 0}):
        with pytest.raises(MaintenanceError, match="database is empty"):
            planning.plan_backup(observation(**empty), POLICY, NOW)


def test_what_is_missing_is_refused_unless_it_is_optional() -> None:
    missing = planning.Included("uploads", "/srv/uploads", problem="no such file or directory")
    with pytest.raises(MaintenanceError, match=r"uploads \(/srv/uploads\): no such file"):
        planning.plan_backup(observation(included=[missing]), POLICY, NOW)
    optional = planning.Included("uploads", "/srv/uploads", problem="no such file or directory", optional=True)
    plan = planning.plan_backup(observation(included=[optional]), POLICY, NOW)
    assert plan.actions
    assert "uploads will not be in the backup" in plan.warnings[0]
    # And a fresh backup without it is as good as a new one would be.
    assert planning.plan_backup(observation(backup(3, components=()), included=[optional]), POLICY, NOW).actions == []


def test_leftovers_go_first_and_count_as_space() -> None:
    found = observation(free=250 * MIB)
    with pytest.raises(MaintenanceError, match="not enough space"):
        planning.plan_backup(found, POLICY, NOW)
    found.catalogue.partials.append(("/b/.20261123_020000.tar.gz.miniecom-partial", 200 * MIB))
    plan = planning.plan_backup(found, POLICY, NOW)
    assert [action.action for action in plan.actions] == ["remove_leftover", "back_up"]


def test_it_never_starts_without_the_space_it_expects_to_need() -> None:
    reached: Counter[str] = Counter()

    sizes = st.integers(0, 10**11)

    # As often above what may be needed as below it.
    @given(sizes, sizes, sizes, st.sampled_from([0, 0, 1, 10]), st.booleans())
    def check(spare: int, size: int, min_free: int, times: int, encrypted: bool) -> None:
        free = spare + times * (size + min_free)
        policy = planning.BackupPolicy("/b", 0, "0", min_free, encrypted)
        found = observation(free=free, bytes_documents=size)
        try:
            plan = planning.plan_backup(found, policy, NOW)
        except MaintenanceError:
            reached["refused"] += 1
            return
        reached["planned"] += 1
        assert free >= plan.actions[-1].bytes * (2 if encrypted else 1) + min_free

    check()
    assert len(reached) == 2 and min(reached.values()) >= 5, reached


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/b/20261124_020000.tar.gz", "tar xzf /b/20261124_020000.tar.gz && "),
        ("/my b/20261124_020000.tar.gz", "tar xzf '/my b/20261124_020000.tar.gz' && "),
        (
            "/b/20261124_020000.tar.gz.enc",
            "openssl enc -d -aes-256-cbc -pbkdf2 -in /b/20261124_020000.tar.gz.enc | tar xzf - && ",
        ),
    ],
)
def test_the_command_that_restores_everything(path: str, command: str) -> None:
    restore = "mongorestore --archive=20261124_020000/mongo.archive.gz --gzip --drop --bypassDocumentValidation"
    assert manifest.restore_command(path) == command + restore
    assert command + restore in manifest.lost_without_bypass(3, ["shop.a", "shop.b"], path)


def test_the_expected_size_learns_from_the_last_backup() -> None:
    assert planning.expected_bytes(observation(backup(3), included=[])) == 50 * MIB + 65536
