# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""secret_scan against a labelled corpus: how much of what is a secret it tells, and how much of what it tells is one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher import scanning_paths
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher_output import understood
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_conclusion import findings_in
from tests.conftest import lacking
from tests.support.secret_corpus import MEASURED, WORK, Score, cases, lay_out, score

ENOUGH = 0.95


def test_the_corpus_is_labelled_and_split() -> None:
    corpus = cases()
    assert len(corpus) == len({(case.path, case.form, case.text) for case in corpus}), "a case stands there twice"
    assert not [case for case in corpus if set(case.text) & set("«»¦")]
    for half in (WORK, MEASURED):
        mine = [case for case in corpus if case.half == half]
        assert sum(len(case.secrets) for case in mine) >= 150 and sum(not case.secrets for case in mine) >= 300


def test_a_score_counts_what_was_told_and_what_was_not(tmp_path: Path) -> None:
    places = lay_out(tmp_path, cases())
    everything = [(path, line, secret) for path, case in places.items() for line, secret in case.secrets.items()]
    perfect, words = score(places, everything)
    assert {half: (mine.precision, mine.recall) for half, mine in perfect.items()} == {WORK: (1, 1), MEASURED: (1, 1)}
    assert words == []
    nothing, words = score(places, [])
    assert {mine.recall for mine in nothing.values()} == {0} and len(words) == nothing[WORK].missed
    path, line, _secret = everything[0]
    wrong, _words = score(places, [(path, line, "another word of the line")])
    assert sum(mine.wrong for mine in wrong.values()) == 1 and not any(mine.found for mine in wrong.values())
    assert Score(3, 1, 1).precision == Score(3, 1, 1).recall == 0.75


def test_precision_and_recall(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = Path(sys.executable).with_name("kingfisher")
    if not program.exists():
        lacking("Kingfisher: kingfisher-bin is not installed beside this interpreter")
    for name in ("files", "cache", "workspace"):
        (tmp_path / name).mkdir()
    root = str(tmp_path / "files")
    places = lay_out(tmp_path / "files", cases())
    cache, workspace = str(tmp_path / "cache"), str(tmp_path / "workspace")
    with scanning_paths(str(program), [root], [".env"], cache, workspace, 300) as scanning:
        scan = understood(scanning)
    found = findings_in(scan.matches, [root], [])
    scores, words = score(places, [(item.target, item.line, item.subject) for item in found])
    with capsys.disabled():
        print("".join(f"\nsecret_scan, {half} half: {mine}" for half, mine in scores.items()))
    for mine in scores.values():
        assert mine.precision >= ENOUGH and mine.recall >= ENOUGH, "\n".join(words)
