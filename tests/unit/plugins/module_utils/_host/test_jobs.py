# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._host import job_formats as formats
from ansible_collections.miniecom.maintenance.plugins.module_utils._host import job_reader
from ansible_collections.miniecom.maintenance.plugins.module_utils._host.job_call import Frame
from ansible_collections.miniecom.maintenance.plugins.module_utils._host.job_reader import Reader, Script
from ansible_collections.miniecom.maintenance.plugins.module_utils._host.job_tables import SCRIPTS
from ansible_collections.miniecom.maintenance.plugins.module_utils._host.jobs import (
    DANGERS,
    DELETES_BACKUPS,
    DELETES_DATA,
    PRUNES_DOCKER,
    READABLE_BACKUPS,
    RESTARTS_SERVICES,
    UNKNOWN_EFFECT,
    JobFinder,
    Places,
    classify_job,
)

ROOT = "/opt/miniecom"
BACKUPS = ROOT + "/storage/backups"
PLACES = Places(ROOT)


def look(command: str, files: dict[str, str] | None = None, places: Places = PLACES) -> tuple[tuple, tuple]:
    def script(path: str) -> Script | None:
        text = (files or {}).get(os.path.normpath(path))
        return None if text is None else Script(text)

    return classify_job(command, places, script, Frame(cwd="/home/deploy", home="/home/deploy"))


def dangers(command: str, **scripts: str) -> tuple[str, ...]:
    return look(command, {"%s/scripts/%s.sh" % (ROOT, name): text for name, text in scripts.items()})[1]


# -- names of the shop's own scripts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("cd /opt/miniecom && ./scripts/run_maintenance_tasks.sh", (DELETES_BACKUPS, PRUNES_DOCKER)),
        ("/srv/elsewhere/rotate_backups.sh", (DELETES_BACKUPS,)),
        ("bash -lc '/opt/miniecom/scripts/disk_alert.sh'", (DELETES_BACKUPS, PRUNES_DOCKER)),
        ("/opt/miniecom/scripts/monitor_services.sh", (RESTARTS_SERVICES,)),
        # It ends by running the rotation; that it cannot be read does not make it harmless.
        ("/opt/miniecom/scripts/backup.sh", (DELETES_BACKUPS, READABLE_BACKUPS)),
        ("$PROJECT_ROOT/scripts/rotate_backups.sh", (DELETES_BACKUPS,)),
        ("/usr/local/bin/backup.sh", ()),
        ("/opt/miniecom/scripts/healthcheck.sh", ()),
        ("notrotate_backups.sh.txt", ()),
    ],
)
def test_the_shops_own_scripts_by_name(command: str, expected: tuple[str, ...]) -> None:
    assert dangers(command) == expected


@given(
    st.sampled_from(sorted(SCRIPTS)),
    st.sampled_from(["", "flock -n /tmp/l ", "nice -n 19 bash ", "sudo -u deploy timeout 1h ", "env A=b "]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="'\""), max_size=20),
)
def test_no_words_around_a_script_hide_it(name: str, before: str, after: str) -> None:
    found = dangers("cd %s && %s./scripts/%s %s" % (ROOT, before, name, after))
    assert set(SCRIPTS[name]) <= set(found)


# -- what scripts do ---------------------------------------------------------------------------------------------------


def test_a_script_is_read_and_its_comments_are_not() -> None:
    assert dangers("cd /opt/miniecom; scripts/weekly.sh", weekly="# docker system prune\necho done\n") == ()
    assert dangers(
        "/opt/miniecom/scripts/a.sh",
        a="sh scripts/b.sh\ncd /opt/miniecom; sh scripts/b.sh",
        b="docker volume \\\n prune -f",
    ) == (
        PRUNES_DOCKER,
        UNKNOWN_EFFECT,
    ), "the first is not found from where the job runs"
    assert dangers("/opt/miniecom/scripts/a.sh", a="sh /opt/miniecom/scripts/a.sh") == (), "one that calls itself ends"


def test_a_backup_that_removes_its_own_working_directory_deletes_no_backups() -> None:
    made = "B=/opt/miniecom/storage/backups\nT=$B/$(date +%Y%m%d)\nmkdir $T\ntar czf $T.tar.gz $T\nrm -rf $T $B/tmp\n"
    assert dangers("/opt/miniecom/scripts/backup.sh", backup=made) == (READABLE_BACKUPS,)
    old = made + 'rm -rf "$B/$(date -d "7 days ago" +%Y%m%d)"*\n'
    assert dangers("/opt/miniecom/scripts/backup.sh", backup=old) == (DELETES_BACKUPS, READABLE_BACKUPS)


@pytest.mark.parametrize("first_line", ["#!/bin/sh", "#!/usr/bin/env bash", "#! /bin/bash -eu", ""])
@pytest.mark.parametrize("path", ["/usr/local/bin/tidy", "/srv/ops/tidy.txt", "/opt/miniecom/bin/tidy"])
def test_a_shell_script_is_read_wherever_it_lies_and_whatever_it_is_called(path: str, first_line: str) -> None:
    files = {path: "%s\nfind %s -mtime +3 -delete\n" % (first_line, BACKUPS)}
    kinds, found = look(path, files)
    assert found == (DELETES_BACKUPS,) and kinds == (os.path.basename(path), "find -delete")


def test_a_program_is_found_on_the_path_of_the_job() -> None:
    files = {"/srv/bin/tidy": "rm %s/*.gz" % BACKUPS, "/usr/local/bin/other": "rm %s/*.gz" % BACKUPS}
    assert look("PATH=/srv/bin:/bin; tidy", files)[1] == look("other", files)[1] == (DELETES_BACKUPS,)
    assert look("tidy", files)[1] == ()


def test_what_is_not_understood_near_the_shop_is_said() -> None:
    assert dangers("cd /opt/miniecom && frobnicate") == (UNKNOWN_EFFECT,)
    assert dangers("frobnicate") == (), "elsewhere it is nobody's business"
    assert dangers("/opt/miniecom/x.sh; docker image prune -f") == (PRUNES_DOCKER, UNKNOWN_EFFECT)
    assert dangers("cd /opt/miniecom && $(cat /etc/shop/command)") == (UNKNOWN_EFFECT,)
    long = {"/opt/miniecom/x": "#" * (job_reader.LARGEST + 1)}

    def script(path: str) -> Script | None:
        return job_reader.script(long[path].encode()) if path in long else None

    assert classify_job("/opt/miniecom/x", PLACES, script, Frame(cwd="/"))[1] == (UNKNOWN_EFFECT,), (
        "not read to its end"
    )


def test_a_directory_of_backups_and_something_that_removes_is_a_rotation() -> None:
    text = "OLD=$(some-list)\nls {}\nrm -f $OLD\n"
    assert look("/opt/miniecom/a", {"/opt/miniecom/a": text.format(BACKUPS)})[1][0] == DELETES_BACKUPS
    assert look("/opt/miniecom/a", {"/opt/miniecom/a": text.format("/etc")})[1] == (UNKNOWN_EFFECT,)


def test_what_is_unknown_stays_unknown_in_a_text_within_a_text() -> None:
    assert dangers('sh -c "cd %s; rm -f $OLD"' % BACKUPS) == (DELETES_BACKUPS,)
    assert dangers('eval "rm -rf $BACKUP_DIR/x; cd /opt/miniecom"') == (DELETES_BACKUPS,)
    assert dangers('su deploy -c "cd /opt/miniecom; rm -rf $WHAT"') == (UNKNOWN_EFFECT,)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("declare -A kept; cd %s; kept[$day]=1; ls" % BACKUPS, ()),
        ("D=$(command -v docker); $D image prune -f", (PRUNES_DOCKER,)),
        ("D=$(which docker); $D system df", ()),
        ("cd %s; rm -f latest && ln -s $(ls -t | head -1) latest" % BACKUPS, ()),
        ("cd %s; rm -rf current" % BACKUPS, (DELETES_BACKUPS,)),
        ('f() { rm -rf "$1"; }; f /tmp/x; f %s/x' % BACKUPS, (DELETES_BACKUPS,)),
        ("f() { rm -rf %s; }; cd /opt/miniecom; ls" % BACKUPS, ()),
        ("f() { rm -rf %s; }; trap f EXIT" % BACKUPS, (DELETES_BACKUPS,)),
        ("find /opt/miniecom -maxdepth 1 -mtime +3 -type f -delete", ()),
        ("find /opt/miniecom -maxdepth 2 -mtime +3 -type f -delete", (DELETES_DATA,)),
        ("find /opt/miniecom -maxdepth 3 -mtime +3 -type f -delete", (DELETES_BACKUPS, DELETES_DATA)),
        ("rm %s/.work-1/x" % BACKUPS, ()),
        ("find %s -name '*.partial' -delete" % BACKUPS, ()),
        ("find %s -name '*.tar.gz' -delete" % BACKUPS, (DELETES_BACKUPS,)),
        ("find /opt/miniecom -name '*.pyc' -delete", ()),
        ("echo rm %s/x; logger 'rm -rf %s'" % (BACKUPS, BACKUPS), ()),
        ("find /opt/miniecom ! -path '*/storage/*' -name '*.gz' -delete", ()),
        ("find /opt/miniecom -path ./storage -prune -o -name '*.gz' -delete", ()),
        ("rm /opt/miniecom/storage/*", ()),
        ("rm -r /opt/miniecom/storage/*", (DELETES_BACKUPS, DELETES_DATA)),
        ("mv %s/x.partial %s/x.tar.gz" % (BACKUPS, BACKUPS), ()),
    ],
)
def test_what_a_removal_reaches(command: str, expected: tuple[str, ...]) -> None:
    assert dangers(command) == expected


def test_directories_of_backups_and_names_that_the_shop_has() -> None:
    command = "find /mnt/big/shop -mtime +3 -delete"
    assert look(command)[1] == () and look(command, places=Places(ROOT, ["/mnt/big/shop"]))[1] == (DELETES_BACKUPS,)
    drop = "mongosh webshop --eval 'db.dropDatabase()'"
    assert look(drop)[1] == () and look(drop, places=Places(ROOT, names=["webshop"]))[1] == (DELETES_DATA,)


def test_another_program_of_this_collection_is_not_the_shop() -> None:
    assert not PLACES.speaks_of_shop("/var/lib/miniecom-maintenance/expiry")
    assert not PLACES.speaks_of_shop("ansible-playbook miniecom.maintenance.weekly")
    assert not PLACES.speaks_of_shop("/opt/miniecommerce-old".replace("miniecom", "mini-ecom"))
    assert PLACES.speaks_of_shop("/opt/miniecom/x") and PLACES.speaks_of_shop("miniecom_mongo")


# -- nothing leaks, nothing ends badly ---------------------------------------------------------------------------------

SECRETS = st.text("abcdefgh0123456789", min_size=12, max_size=20)
HIDING_PLACES = [
    "NAME={} /opt/miniecom/scripts/rotate_backups.sh",
    "export NAME={}; rm %s/*" % BACKUPS,
    "mongosh -u root -p {} miniecom --eval 'db.x.drop()'",
    "mongosh --password={} miniecom --eval 'db.x.drop()'",
    "mongorestore --drop mongodb://root:{}@localhost/miniecom",
    "mongodb://root:p@localhost/{} miniecom",
    "cd /opt/miniecom && {} x",
    "cd /opt/miniecom && x.{} y",
    "P={}; cd /opt/miniecom && $P",
    "docker login -p {} && docker system prune -f",
    "curl -u a:{} https://x/miniecom | sh",
    "cd /opt/miniecom && . ./.env && frobnicate",
    "cat <<X | sh\nrm {}\nX\nrm %s/*" % BACKUPS,
    "/opt/miniecom/missing.sh --token {}",
]


@given(st.sampled_from(HIDING_PLACES), SECRETS)
def test_no_secret_of_a_job_is_told(place: str, secret: str) -> None:
    files = {"/opt/miniecom/.env": "A=b %s\n%s\nexport C='%s'" % (secret, secret, secret)}
    command = place.replace("{}", secret)
    kinds, found = look(command, files)
    assert secret not in repr(kinds)
    event("told of" if found else "not told of")
    for line in (command, "A=%s %s" % (secret, command)):
        for job in formats.crontab_lines("0 3 * * * %s\n" % line, True):
            assert secret not in job.user and secret not in job.schedule


PIECES = (
    "rm -rf;find / -delete;-exec;{} +;xargs;ls;/opt/miniecom/storage/backups;*;$A;${A:-b};$(;`;\";';|;&&;;;(;);{;};<<X\n;X\n;f();f;"
    "for i in;do;done;if;then;fi;case x in;esac;a);[[;]];A=;A=(;docker;compose;down -v;system prune;mongosh;--eval;sudo;env;sh -c;"
    "eval;.;cd;read;while;python3 -c;npm run;su -c;trap;set --;mapfile;date -d;mktemp;basename;dirname;ssh localhost;"
    "timeout;flock;rsync --delete;tar --remove-files;logrotate;restic;aws;git clean -fdx;docker run -v;--mount;\n;\0;-;--;%;\\"
).split(";")
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join) | st.text(max_size=300)


@given(TEXTS, st.booleans())
@example("set --; shift; basename -s; read; mapfile; cd; eval; env -S", False)
def test_any_text_can_be_read(text: str, system: bool) -> None:
    def script(path: str) -> Script | None:
        return Script(text)

    for command in (
        text,
        "/opt/miniecom/x",
        "python3 /opt/miniecom/x.py",
        "cd /opt/miniecom; npm run a; . x; logrotate x",
    ):
        kinds, found = classify_job(command, PLACES, script, Frame(cwd="/"))
        event(found[0] if found else "nothing")
        assert set(found) <= set(DANGERS) and (kinds or not found)
    for line in formats.crontab_lines(text, system):
        classify_job(line.command, PLACES, script, Frame(cwd="/"))
    list(formats.anacrontab_lines(text))
    list(formats.tmpfiles_lines(text))
    list(formats.logrotate_blocks(text))
    formats.unit_values(text, "ExecStart")
    formats.unit_environment("Environment=" + text)
    classify_job(formats.unit_command(text, "a@b.service", "/root"), PLACES, script, Frame(cwd="/"))


@pytest.mark.parametrize(
    "piece",
    [
        "$(",
        "${a:-",
        "find a|",
        "find / -exec ",
        "eval ",
        "sudo ",
        "A=$A$A\n",
        "for i in $i $i;do ",
        "f(){ f;f; };f\n",
        "{,",
        "$a ",
    ],
)
def test_a_megabyte_takes_bounded_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    start = time.process_time()
    found = classify_job("cd /opt/miniecom\n" + text, PLACES, lambda path: None, Frame({"a": ["q" * 4000] * 24}, "/"))[
        1
    ]
    assert time.process_time() - start < 20, "it is a few seconds"
    assert UNKNOWN_EFFECT in found, "what was not read to its end is not harmless"


# -- where jobs are written down ---------------------------------------------------------------------------------------


def test_crontabs() -> None:
    text = (
        "SHELL=/bin/sh\n# c\n\n0 3 * * 0 root cd /x && y\n@reboot root z\n0 3 * * sun,mon\troot\tw\nnot a job\n"
        "five words of some prose here\nP = '/opt/x'\n-*/5 0~6 * * * root $P/z\n0 3 * * * A=b c\n"
    )
    told = [(line.number, line.schedule, line.user, line.command) for line in formats.crontab_lines(text, True)]
    assert told == [
        (4, "0 3 * * 0", "root", "cd /x && y"),
        (5, "@reboot", "root", "z"),
        (6, "0 3 * * sun,mon", "root", "w"),
        (10, "*/5 0~6 * * *", "root", "$P/z"),
        (11, "0 3 * * *", "", "A=b c"),
    ]
    assert [dict(line.variables) for line in formats.crontab_lines(text, True)][3] == {
        "SHELL": "/bin/sh",
        "P": "/opt/x",
    }
    (line,) = formats.crontab_lines("*/5 0-6 1,2 JAN-MAR 1 date +\\%F; mongosh x%db.y.drop()%quit\n", False)
    assert line.command == "date +%F; mongosh x <<'STANDARD_INPUT'\ndb.y.drop()\nquit\nSTANDARD_INPUT\n"


def test_unit_files() -> None:
    text = '[Service]\n#ExecStart=no\nExecStart=a\nExecStart=b \\\n  c\nUser = deploy\nEnvironment=A=b "C=d e"\n'
    assert formats.unit_values(text, "ExecStart") == ["a", "b    c"]
    assert formats.unit_values(text + "ExecStart=\nExecStart=d\n", "ExecStart") == ["d"]
    assert formats.unit_values(text, "User") == ["deploy"]
    assert formats.unit_environment(text) == {"A": "b", "C": "d e"}
    assert formats.unit_command("-!/bin/x %i %h | 'y | z'", "a@b.service", "/root") == "/bin/x b /root \\| 'y | z'"


def test_tmpfiles_and_logrotate() -> None:
    text = "d /a 0755 - - 3d\nd /b 0755 - - -\nR /c\nx /a/*\n# d /e - - - 1d\ne! /f - - - 1h\n"
    assert [(line.number, line.path, line.deep) for line in formats.tmpfiles_lines(text)] == [
        (3, "/c", True),
        (6, "/f", True),
    ]
    (block,) = formats.logrotate_blocks(
        'weekly\n"/a b/*.log"\n/c/*.log {\n daily\n postrotate\n  kill x\n endscript\n}\n'
    )
    assert block == formats.Rotation(2, ["/a b/*.log", "/c/*.log"], "daily", "  kill x")


def test_odd_files_do_not_stop_the_search(tmp_path: Path) -> None:
    (tmp_path / "cron.d").mkdir()
    os.mkfifo(tmp_path / "cron.d" / "fifo")
    (tmp_path / "cron.d" / "dangling").symlink_to("/nonexistent")
    (tmp_path / "cron.d" / "loop").symlink_to("loop")
    (tmp_path / "cron.d" / "zero").symlink_to("/dev/zero")
    (tmp_path / "cron.d" / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "cron.d" / "shop").write_bytes(
        b"0 1 * * * root /opt/miniecom/scripts/rotate_backups.sh \xff\n"
        b"0 1 * * * root %s/cron.d/fifo; %s/cron.d/zero; cd /opt/miniecom\n" % (bytes(tmp_path), bytes(tmp_path))
    )
    (tmp_path / "masked.timer").symlink_to("/dev/null")
    found = JobFinder(PLACES, [str(tmp_path), str(tmp_path / "nothing")]).find()
    assert [(job.kind, job.where, job.active, job.dangers) for job in found] == [
        ("rotate_backups.sh", "%s:1" % (tmp_path / "cron.d" / "shop"), True, (DELETES_BACKUPS,)),
        ("fifo, zero", "%s:2" % (tmp_path / "cron.d" / "shop"), True, (UNKNOWN_EFFECT,)),
    ]


def test_nothing_is_opened_that_would_block_or_never_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = Reader()
    assert reader.script(str(tmp_path / "fifo")) is None and reader.script("/dev/zero") is None
    (tmp_path / "large").write_bytes(b"x" * (job_reader.LARGEST + 5))
    found = reader.script(str(tmp_path / "large"))
    assert found is not None and len(found.text) == job_reader.LARGEST and not found.whole


def test_services_without_a_timer_count_for_what_they_delete_and_only_when_enabled(tmp_path: Path) -> None:
    (tmp_path / "multi-user.target.wants").mkdir()
    for name, command in (("loop", "find %s -delete" % BACKUPS), ("idle", "rm %s/*" % BACKUPS), ("api", "node x.js")):
        (tmp_path / (name + ".service")).write_text(
            "[Service]\nWorkingDirectory=%s\nExecStart=/bin/%s\n" % (ROOT, command)
        )
    for name in ("loop", "api"):
        (tmp_path / "multi-user.target.wants" / (name + ".service")).symlink_to("../%s.service" % name)
    found = JobFinder(PLACES, [str(tmp_path)]).find()
    assert [(os.path.basename(job.source), job.schedule, job.dangers) for job in found] == [
        ("loop.service", "at boot", (DELETES_BACKUPS,))
    ]
