# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The README's picture: what a terminal showed, low enough for a first screen."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from tests.tools.capture import COLOURS, MARGIN, OMITTED, ROOT, WIDTH, Words, drawn, result_of, words_of

TABLE = "weekly maintenance of x (1)\n\nstep  result\nbytes: + written\n"
VERDICT = "all 13 steps ended well, 4 of them changed something\n"
END = "record on the host: /x\n\nPLAY RECAP ***\n\n\x1b[0;32m1 host: 1 ended well (x)\x1b[0m\n"


def test_words_stay_in_their_columns_and_colours() -> None:
    assert words_of("a b   \x1b[0;33mchanged  \x1b[0m  -1 MiB") == [
        Words(0, "a b", ""),
        Words(6, "changed", COLOURS["33"]),
        Words(17, "-1 MiB", ""),
    ]
    texts = [
        element
        for element in ElementTree.fromstring(drawn("a b   c\n\n<x>", 10)).iter()
        if element.tag.endswith("text")
    ]
    assert [element.text for element in texts] == ["a b", "c", "<x>"]
    assert float(texts[1].attrib["x"]) == MARGIN + 6 * WIDTH and float(texts[1].attrib["textLength"]) == WIDTH


@pytest.mark.parametrize(("findings", "between"), [("Findings:\n  a\n\n", f"{OMITTED}\n\n"), ("", "")])
def test_the_table_and_how_it_went_are_shown(findings: str, between: str) -> None:
    shown = result_of(f"PLAY [x]\nchanged: y\n{TABLE}\n{findings}{VERDICT}{END}")
    assert shown == f"{TABLE}\n{between}{VERDICT}\n\x1b[0;32m1 host: 1 ended well (x)\x1b[0m"
    with pytest.raises(RuntimeError, match="no run in what was shown"):
        result_of(TABLE)


def test_the_picture_fits_a_first_screen() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "weekly.svg").getroot()
    # As wide as a README is shown, some 840 pixels, it takes less than 560.
    assert float(picture.attrib["height"]) / float(picture.attrib["width"]) < 560 / 840
    assert "1 host: 1 ended well" in "".join(picture.itertext())
