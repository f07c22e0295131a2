# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._host.jobs import (
    DELETES_BACKUPS,
    DELETES_DATA,
    PRUNES_DOCKER,
    READABLE_BACKUPS,
    RESTARTS_SERVICES,
    SCRIPTS,
    Finder,
    classify,
    crontab_lines,
    unit_values,
)

ROOT = "/opt/miniecom"


def dangers(command: str, **scripts: str) -> tuple[str, ...]:
    files = {"%s/scripts/%s.sh" % (ROOT, name): text for name, text in scripts.items()}
    return classify(command, ROOT, lambda path: files.get(path, ""))[1]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("cd /opt/miniecom && ./scripts/run_maintenance_tasks.sh", (DELETES_BACKUPS, PRUNES_DOCKER)),
        ("/opt/miniecom/scripts/rotate_backups.sh", (DELETES_BACKUPS,)),
        ("bash -lc '/opt/miniecom/scripts/disk_alert.sh'", (DELETES_BACKUPS, PRUNES_DOCKER)),
        ("/srv/elsewhere/rotate_backups.sh", (DELETES_BACKUPS,)),
        ("/opt/miniecom/scripts/monitor_services.sh", (RESTARTS_SERVICES,)),
        ("/opt/miniecom/scripts/backup.sh", (READABLE_BACKUPS,)),
        ("/usr/local/bin/backup.sh", ()),
        ("/opt/miniecom/scripts/healthcheck.sh", ()),
        ("docker system prune -f --volumes", (PRUNES_DOCKER,)),
        ("/usr/bin/docker  image   prune -a", (PRUNES_DOCKER,)),
        ("docker ps", ()),
        ("find /opt/miniecom/storage/backups -mtime +7 -delete", (DELETES_BACKUPS,)),
        ("find /opt/miniecom/storage/backups -name '*.gz' -exec rm {} +", (DELETES_BACKUPS,)),
        ("find /var/backups -mtime +7 -delete", ()),
        ("rm -rf /opt/miniecom/storage/backups/2024*", (DELETES_BACKUPS,)),
        ("mongosh miniecom --eval 'db.orders.deleteMany({})'", (DELETES_DATA,)),
        ("notrotate_backups.sh.txt", ()),
    ],
)
def test_what_a_command_would_do(command: str, expected: tuple[str, ...]) -> None:
    assert dangers(command) == expected


def test_a_script_of_the_shop_is_read_and_its_comments_are_not() -> None:
    assert dangers("cd /opt/miniecom && ./scripts/weekly.sh", weekly="#!/bin/sh\n./scripts/rotate_backups.sh\n") == (
        DELETES_BACKUPS,
    )
    assert dangers("cd /opt/miniecom; scripts/weekly.sh", weekly="# docker system prune\necho done\n") == ()
    assert dangers("/opt/miniecom/scripts/a.sh", a="sh scripts/b.sh", b="docker volume \\\n prune -f") == (
        PRUNES_DOCKER,
    )
    assert dangers("/opt/miniecom/scripts/a.sh", a="sh scripts/a.sh") == (), "one that calls itself ends"
    # A temporary directory that the shop's own backup removes is no deletion of backups.
    assert dangers("/opt/miniecom/scripts/backup.sh", backup="rm -rf $BACKUP_DIR/tmp") == (READABLE_BACKUPS,)


@given(
    st.sampled_from(sorted(SCRIPTS)),
    st.sampled_from(["", "flock -n /tmp/l ", "nice -n 19 bash "]),
    st.text(max_size=20),
)
def test_no_words_around_a_script_hide_it(name: str, before: str, after: str) -> None:
    found = dangers("cd %s && %s./scripts/%s %s" % (ROOT, before, name, after))
    assert set(SCRIPTS[name]) <= set(found)


@given(st.text(max_size=300), st.booleans())
def test_any_text_can_be_read(text: str, system: bool) -> None:
    for _number, _schedule, _user, command in crontab_lines(text, system):
        classify(command, ROOT, lambda path: text)
    unit_values(text, "ExecStart")


def test_crontabs() -> None:
    text = "SHELL=/bin/sh\n# c\n\n0 3 * * 0 root cd /x && y\n@reboot root z\n0 3 * * sun,mon root w\nnot a job\n"
    assert list(crontab_lines(text, True)) == [
        (4, "0 3 * * 0", "root", "cd /x && y"),
        (5, "@reboot", "root", "z"),
        (6, "0 3 * * sun,mon", "root", "w"),
    ]
    assert list(crontab_lines("*/5 0-6 1,2 JAN-MAR 1 run it\n", False)) == [(1, "*/5 0-6 1,2 JAN-MAR 1", "", "run it")]


def test_unit_files() -> None:
    text = "[Service]\n#ExecStart=no\nExecStart=a\nExecStart=b \\\n  c\nUser = deploy\n"
    assert unit_values(text, "ExecStart") == ["a", "b    c"]
    assert unit_values(text + "ExecStart=\nExecStart=d\n", "ExecStart") == ["d"]
    assert unit_values(text, "User") == ["deploy"]


def test_odd_files_do_not_stop_the_search(tmp_path) -> None:
    import os

    (tmp_path / "cron.d").mkdir()
    os.mkfifo(tmp_path / "cron.d" / "fifo")
    (tmp_path / "cron.d" / "dangling").symlink_to("/nonexistent")
    (tmp_path / "cron.d" / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "cron.d" / "shop").write_bytes(b"0 1 * * * root /opt/miniecom/scripts/rotate_backups.sh \xff\n")
    (tmp_path / "masked.timer").symlink_to("/dev/null")
    found = Finder(ROOT, [str(tmp_path), str(tmp_path / "nothing")]).find()
    assert [(job.kind, job.where, job.active) for job in found] == [
        ("rotate_backups.sh", "%s:1" % (tmp_path / "cron.d" / "shop"), True)
    ]
