# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tests.tools.silences import Piece, Silence, heard, silences


def test_the_longest_comes_first_with_the_lines_around_it() -> None:
    pieces = [Piece(0, ""), Piece(1, "a\nb\n"), Piece(8, "\nc\nd\r\n"), Piece(9.5, "e"), Piece(10, "")]
    found = silences(pieces)
    assert found[0] == Silence(7, "b", "c")
    assert [one.seconds for one in found] == [7, 1.5, 1, 0.5]
    assert found[1] == Silence(1.5, "d", "e")


@pytest.mark.parametrize(("terminal", "word"), [(True, "terminal"), (False, "log")])
def test_it_hears_both_streams_on_a_terminal_and_in_a_log(
    terminal: bool, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pieces = heard(["sh", "-c", "if [ -t 1 ]; then echo terminal; else echo log; fi; echo wrong >&2; exit 3"], terminal)
    assert "".join(piece.text for piece in pieces).split() == [word, "wrong"]
    assert pieces[0] == Piece(0.0, "") and pieces[-1].text == ""
    assert "wrong" in capsys.readouterr().out
