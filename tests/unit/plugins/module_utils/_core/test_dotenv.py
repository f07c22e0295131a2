# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import dotenv
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.dotenv import load, parse
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("export A=1", {"A": "1"}),
        ("  A = 1  ", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=''", {"A": ""}),
        ("A=two words", {"A": "two words"}),
        ("A=value # comment", {"A": "value"}),
        ("A=a#b", {"A": "a"}),
        ("A='a#b'", {"A": "a#b"}),
        ('A="a#b" # comment', {"A": "a#b"}),
        ('A="it\'s"', {"A": "it's"}),
        ("A='say \"hi\"'", {"A": 'say "hi"'}),
        ('A="line\\nnext"', {"A": "line\nnext"}),
        ("A='line\\nnext'", {"A": "line\\nnext"}),
        ('A="first\nsecond"\nB=2', {"A": "first\nsecond", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("# A=1\nB=2", {"B": "2"}),
        ("garbage\nB=2", {"B": "2"}),
        ("FROM=Shop <shop@example.org>", {"FROM": "Shop <shop@example.org>"}),
        ("GLOB=*.js", {"GLOB": "*.js"}),
        ("A=$(reboot)", {"A": "$(reboot)"}),
        ("\ufeffA=1", {"A": "1"}),
        ("NAME=Handmade's Harmony", {"NAME": "Handmade's Harmony"}),
        (
            "URI=mongodb://u:p%40ss@mongo:27017/shop?authSource=admin",
            {"URI": "mongodb://u:p%40ss@mongo:27017/shop?authSource=admin"},
        ),
    ],
)
def test_what_occurs_in_real_files(text: str, expected: dict[str, str]) -> None:
    assert parse(text) == expected


KEYS = st.from_regex(r"\A[A-Z_][A-Z0-9_]{0,10}\Z")
PLAIN = st.text(st.characters(blacklist_characters="'\r\n\\", blacklist_categories=("Cs", "Cc")), max_size=20)


@given(st.lists(st.tuples(KEYS, PLAIN), max_size=8))
def test_single_quoted_values_are_literal_and_the_last_one_wins(pairs: list[tuple[str, str]]) -> None:
    text = "".join(f"{key}='{value}'\n" for key, value in pairs)
    assert parse(text) == dict(pairs)


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    parse(text)


def test_a_missing_file_names_path_and_next_step(tmp_path: Path) -> None:
    with pytest.raises(MaintenanceError) as caught:
        load(str(tmp_path / ".env"))
    assert str(tmp_path / ".env") in str(caught.value)
    assert "ENOENT" in str(caught.value)
    assert "env_file" in caught.value.next_step


def test_a_directory_is_no_environment_file(tmp_path: Path) -> None:
    with pytest.raises(MaintenanceError, match="EISDIR"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A", "one"),
        ("${A}/b", "one/b"),
        ("${NO:-fall back}", "fall back"),
        ("${EMPTY:-x}${EMPTY-y}", "x"),
        ("${NO-y}", "y"),
        ("${A:+set}${NO:+unset}${EMPTY+there}", "setthere"),
        ("${NO:?must be set}", ""),
        ("${A:?must be set}", "one"),
        ("$$A and $${A}", "$A and ${A}"),
        ("${NO:-${ALSO_NO:-${A}}}", "one"),
        ("mongodb://${USER_NAME:-admin}:${PASS:-p$$}@mongo/x", "mongodb://admin:p$@mongo/x"),
        ("${never closed", "${never closed"),
        ("100 $ and 5$", "100 $ and 5$"),
    ],
)
def test_variables_as_compose_puts_them_in(text: str, value: str) -> None:
    assert dotenv.expand(text, {"A": "one", "EMPTY": ""}) == value


def test_single_quotes_are_literal_to_compose_and_nothing_is_expanded_by_dotenv() -> None:
    text = "USER=ops\nPLAIN=${USER}:x\nDOUBLE=\"$USER\"\nSINGLE='$USER'\n"
    assert dotenv.parse_for_compose(text) == {"USER": "ops", "PLAIN": "ops:x", "DOUBLE": "ops", "SINGLE": "$USER"}
    assert dotenv.parse(text)["PLAIN"] == "${USER}:x"


@given(st.text(alphabet="$${}:-+?A=B \n", max_size=60))
def test_expanding_never_raises(text: str) -> None:
    assert isinstance(dotenv.expand(text, {"A": "$B", "B": "${A}"}), str)


@pytest.mark.parametrize("kind", ["pipe", "link to a device", "huge file"])
def test_what_is_no_environment_file_keeps_nobody_waiting(tmp_path: Path, kind: str) -> None:
    """Whoever owns the shop's directory can put one there, and the run is root's."""

    def waited(*_unused: Any) -> None:
        raise AssertionError(f"it waits at the {kind}")

    if kind == "pipe":
        os.mkfifo(tmp_path / ".env")
    elif kind == "huge file":
        with open(tmp_path / ".env", "wb") as handle:
            handle.truncate(2 << 30)
    else:
        (tmp_path / ".env").symlink_to("/dev/zero")
    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(5)
    try:
        with pytest.raises(MaintenanceError, match="regular file"):
            load(str(tmp_path / ".env"))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
