# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.logrotate import (
    COPY,
    RENAME,
    REOPEN,
    Identity,
    Rules,
    Section,
    ask_logrotate,
    due_in,
    errors_in,
    find_logrotate,
    is_safe,
    known_in,
    newest_rotations,
    parse_rotated,
    render_configuration,
    run_logrotate,
)
from tests.conftest import lacking
from tests.sandbox.fetch import PackagesUnavailable, logrotate_binary

RULES = Rules("weekly", 1000, 30)
# Whatever else could stand in a line of the configuration is a defect.
ALLOWED = re.compile(
    r'#.*|"/[^"\n]*"|\{|\}|'
    r"    (daily|weekly|monthly|maxsize \d+|size \d+|rotate (1000|-1)|maxage \d+|dateext|dateformat -%Y%m%d-%s|"
    r"compress|delaycompress|missingok|notifempty|copytruncate|create|nocreate|su \d+ \d+)|"
)
SECTIONS = st.builds(
    Section,
    st.lists(st.text(max_size=12).map(lambda text: "/l/" + text), min_size=1, max_size=3).map(tuple),
    st.sampled_from([RENAME, COPY, REOPEN]),
    st.none() | st.builds(Identity, st.integers(0, 2**32 - 2), st.integers(0, 2**32 - 2)),
    st.booleans(),
    st.booleans(),
)
NASTY = 'x" {\npostrotate\ntouch /tmp/executed\nendscript\n}'


@pytest.fixture(scope="module")
def program() -> str:
    try:
        return str(logrotate_binary())
    except PackagesUnavailable as error:
        lacking(f"logrotate: {error}")
        raise


@given(st.lists(SECTIONS, max_size=3), st.integers(1, 2**50), st.integers(0, 40000))
@example([Section(("/l/" + NASTY,), RENAME)], 1, 1)
@example([Section(("/l/a",), RENAME, Identity(33, 33))], 1, 0)
def test_a_configuration_holds_known_lines_and_quoted_paths_alone(
    sections: list[Section], size: int, days: int
) -> None:
    paths = [path for section in sections for path in section.paths]
    try:
        text = render_configuration(sections, Rules("daily", size, days))
    except MaintenanceError:
        assert not all(is_safe(path) for path in paths)
        return
    assert all(is_safe(path) for path in paths)
    lines = text.split("\n")
    assert [line for line in lines if not ALLOWED.fullmatch(line)] == []
    assert [line[1:-1] for line in lines if line.startswith('"')] == paths
    assert ("maxage" in text) is (days > 0 and bool(sections))


@pytest.mark.parametrize(
    "path",
    [
        "relative",
        "",
        '/a"b',
        "/a'b",
        "/a\\b",
        "/a\nb",
        "/a\x00b",
        "/a\x7fb",
        "/a*b",
        "/a?b",
        "/a[b]",
        "/a{b}",
        "/a\udcffb",
    ],
)
def test_what_could_mean_something_else_is_refused(path: str) -> None:
    assert not is_safe(path)
    with pytest.raises(MaintenanceError) as failure:
        render_configuration([Section((path,), RENAME)], RULES)
    assert path.isprintable() or path not in str(failure.value), "nor does it reach the screen"


def test_only_intervals_are_written() -> None:
    with pytest.raises(MaintenanceError):
        render_configuration([], Rules("weekly\npostrotate", 1, 1))


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=8))
@example("c# d")
@example("~")
@example("%s $HOME `id`")
def test_logrotate_reads_each_name_as_itself(program: str, name: str) -> None:
    if not is_safe("/" + name):
        return
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "logs" / (name + ".log")
        log.parent.mkdir()
        log.write_text("a line\n" * 1000)
        configuration = Path(directory) / "c"
        configuration.write_text(render_configuration([Section((str(log),), RENAME)], RULES), encoding="utf-8")
        configuration.chmod(0o600)
        state = str(Path(directory) / "s")
        output = ask_logrotate(program, str(configuration), state)
        assert due_in(output, [str(log)]) == {str(log)}, output
        code, output = run_logrotate(program, ["--state", state, str(configuration)])
        assert (code, errors_in(output)) == (0, [])
        assert newest_rotations(str(log.parent)).get(log.name, 0) > 0
        assert known_in(state) == {str(log)}


def test_a_configuration_that_is_ignored_is_an_error(program: str, tmp_path: Path) -> None:
    configuration = tmp_path / "c"
    configuration.write_text(render_configuration([], RULES))
    configuration.chmod(0o666)
    code, output = run_logrotate(program, ["--state", str(tmp_path / "s"), str(configuration)])
    assert code == 0 and "Ignoring" in errors_in(output)[0]


def test_a_log_that_is_not_due_is_never_rotated_but_seen(program: str, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("a line\n" * 1000)
    configuration, state = tmp_path / "c", tmp_path / "s"
    configuration.write_text(render_configuration([Section((str(log),), RENAME, due=False)], RULES))
    configuration.chmod(0o600)
    state.write_text(f'logrotate state -- version 2\n"{log}" 2020-1-2-3:0:0\n')
    assert run_logrotate(program, ["--state", str(state), str(configuration)])[0] == 0
    assert log.stat().st_size and str(log) in state.read_text()


def test_the_words_of_another_log_are_not_taken_for_ones_own() -> None:
    output = "considering log /a\n  log needs rotating\nconsidering log /b\n  log does not need rotating (x)\n"
    assert due_in(output, ["/a", "/b"]) == {"/a"}
    assert due_in(output, ["/b"]) == frozenset()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.log-20261128-1795905094", ("a.log", 1795905094, False)),
        ("a.log-20261128-1795905094.gz", ("a.log", 1795905094, True)),
        ("a.log-20261128", None),
        ("a.log.1", None),
        ("-20261128-1795905094", None),
        ("a.log-20261128-1795905094.gz.x", None),
    ],
)
def test_names_of_rotations(name: str, expected: tuple[str, int, bool] | None) -> None:
    assert parse_rotated(name) == expected


def test_the_newest_rotation_counts(tmp_path: Path) -> None:
    for name in ("a.log-20261128-1795905094", "a.log-20261127-1795805094.gz", "b.log", "a.log.1"):
        (tmp_path / name).touch()
    assert newest_rotations(str(tmp_path)) == {"a.log": 1795905094}
    assert newest_rotations(str(tmp_path / "none")) == {}


def test_the_program_is_found_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "rotator"
    program.write_text("#!/bin/sh\necho error: so it is >&2; exit 7\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_logrotate("rotator") == str(program)
    code, output = run_logrotate(str(program), [])
    assert (code, errors_in(output)) == (7, ["error: so it is"])
    with pytest.raises(MaintenanceError, match=r"Run as root on the host: .* logrotate$"):
        find_logrotate("no-such-rotator")
    program.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    with pytest.raises(MaintenanceError, match="did not end within"):
        run_logrotate(str(program), [], 0.2)
    os.truncate(program, 0)
    program.write_bytes(b"\x7fELF nonsense")
    with pytest.raises(MaintenanceError, match="cannot start"):
        run_logrotate(str(program), [])
