# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's command and the directory above the sandboxes, whatever was left there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sandbox import __main__ as command


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / ".sandbox"
    monkeypatch.setattr(command, "HOME", home)
    monkeypatch.setattr(command, "CURRENT", home / "current")
    monkeypatch.delenv("MINIECOM_SANDBOX", raising=False)
    return home


def made_by_a_playbook(home: Path) -> Path:
    """What a run makes where no sandbox is up."""
    directory = home / "current" / "run" / "ansible" / "ansible-tmp-1"
    directory.mkdir(parents=True)
    (directory / "AnsiballZ_setup.py").touch()
    return home / "current"


def test_a_directory_made_by_a_playbook_gives_way_to_the_link(home: Path) -> None:
    made_by_a_playbook(home)
    (home / ".current.123").symlink_to("native")
    (home / "native").mkdir()
    for _twice in range(2):
        command._point_current_to(home / "native")
        assert (home / "current").readlink() == Path("native")
        assert sorted(path.name for path in home.iterdir()) == ["current", "native"]


def test_a_strange_directory_is_left_alone(home: Path) -> None:
    (made_by_a_playbook(home) / "notes.txt").write_text("mine")
    for attempt in (lambda: command._point_current_to(home / "native"), lambda: command.main(["down"])):
        try:
            assert attempt() == 1
        except RuntimeError as error:
            assert "notes.txt" in str(error)
        assert (home / "current" / "notes.txt").read_text() == "mine"


def test_down_removes_what_is_left_and_says_when_nothing_was_up(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_by_a_playbook(home)
    (home / ".current.123").symlink_to("native")
    assert command.main(["down"]) == 0
    assert not home.exists()
    assert "no sandbox is up" in capsys.readouterr().out
    assert command.main(["down"]) == 0


def test_down_removes_a_link_that_leads_nowhere(home: Path) -> None:
    home.mkdir()
    (home / "current").symlink_to("native")
    assert command.main(["down"]) == 0
    assert not home.exists()
