# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a secret stands, what of its line is shown, and that each is told once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_files import copied_file, env_file
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_matches import (
    Match,
    suspicious,
    to_secret_findings,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_places import located, place_in_line
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_rules import (
    FALLBACK,
    QUOTED,
    RULES_YAML,
    UNQUOTED,
)

CODE = "/srv/shop/src/mail.js"


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (b"  smtpPass: '", (0, 14, "smtpPass: '")),
        (b"a\rb\rDB_PASS=", (2, 9, "DB_PASS=")),
        ("ü = ".encode(), (0, 5, "")),
        (b"mongodump --password ", (0, 22, "--password ")),
        (b"mysqldump -u root -p", (0, 21, "-p")),
        (b"chpasswd other-secret ", (0, 23, "")),
        (b"", (0, 1, "")),
    ],
)
def test_a_place_in_a_line(before: bytes, expected: tuple[int, int, str]) -> None:
    assert place_in_line(before) == expected


def test_lines_are_counted_as_a_person_counts_them(tmp_path: Path) -> None:
    mac, mixed, wide = tmp_path / "mac.ini", tmp_path / "mixed.ini", tmp_path / "wide.ini"
    mac.write_bytes(b"[a]\rpassword=Real-4471\r")
    mixed.write_bytes(b"[a]\r[b]\r\n[c]\npassword=Real-4471\n")
    wide.write_bytes("[ä]\npassword=Real-4471\n".encode("utf-16"))
    matches = [
        Match(UNQUOTED, str(mac), 1, "Real-4471", 13),
        Match(UNQUOTED, str(mixed), 3, "Real-4471", 9),
        Match(UNQUOTED, str(wide), 2, "Real-4471", 9),
        Match(UNQUOTED, str(tmp_path / "gone"), 7, "Real-4471", 3),
    ]
    places = {Path(match.path).name: (match.line, match.column, match.before) for match in located(matches)}
    assert places["mac.ini"] == (2, 10, "password=") and places["mixed.ini"] == (4, 10, "password=")
    assert places["wide.ini"] == (2, 10, "password=") and places["gone"] == (7, 3, "")


def test_a_match_without_quotes_begins_behind_them() -> None:
    [match] = suspicious([Match(QUOTED, CODE, 1, "'Real-4471'", 10), Match(QUOTED, CODE, 2, "'Password'", 10)])
    assert (match.value, match.column) == ("Real-4471", 11)


def test_what_several_rules_see_on_a_line_is_told_once() -> None:
    matches = [
        Match(UNQUOTED, CODE, 3, "Real-4471 more", 5),
        Match(QUOTED, CODE, 3, "Real-4471", 5),
        Match(FALLBACK, CODE, 3, "Real-4471", 5),
    ]
    [found] = to_secret_findings(matches, ["/srv/shop"], [])
    assert found.rule == "secret-fallback"
    elsewhere = Match(QUOTED, CODE, 3, "Real-4471", 40)
    assert len(to_secret_findings([*matches, elsewhere], ["/srv/shop"], [])) == 2


def test_an_excerpt_shows_the_name_alone() -> None:
    match = Match(QUOTED, CODE, 3, "Real-4471", 12, "smtpPass: '")
    [found] = to_secret_findings([match, Match(QUOTED, CODE, 9, "Real-4471", 2)], ["/srv/shop"], [])
    told = found.as_dict()
    assert (told["line"], told["column"], told["lines"]) == (3, 12, [3, 9])
    assert told["excerpt"] == "smtpPass: '********"
    other = Match(QUOTED, CODE, 3, "smtpPass", 2)
    hidden = {item.column: item.excerpt for item in to_secret_findings([match, other], ["/srv/shop"], [])}
    assert hidden[12] == "", "another secret of the line is part of it"


@pytest.mark.parametrize(
    ("name", "env", "copy"),
    [
        (".env", True, False),
        (".env.production", True, False),
        (".env.example", False, False),
        (".env.bak", True, True),
        (".env.production.old", True, True),
        (".env.20261101", True, True),
        (".env.2026-11-01", True, True),
        (".env~", False, True),
    ],
)
def test_environment_files_and_their_copies(name: str, env: bool, copy: bool) -> None:
    assert (env_file(name), copied_file(name)) == (env, copy)


def test_no_part_of_a_rule_is_left_unwritten() -> None:
    assert not re.search("<<[A-Z]+>>", RULES_YAML)
