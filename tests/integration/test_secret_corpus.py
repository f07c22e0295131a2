# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""secret_scan against a labelled corpus: how much of what is a secret it tells, and how much of what it tells is one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher import scanning_paths
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher_output import understood
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_matches import Match
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_reading import findings_in
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_rules import PREFIX, RULES_YAML
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.finding import Finding
from tests.conftest import lacking
from tests.support.secret_corpus import (
    MEASURED,
    WORK,
    Case,
    Score,
    Told,
    cases,
    lay_out,
    score,
    shop_score,
    shops,
)

ENOUGH = 0.95
FILES, HARMLESS = 69, 32
# What CredSweeper 1.19.5 found at most in as many files of this kind, and called high at least: tests/benchmarks/secret_peers.py.
PEER_FOUND, PEER_HIGH = 48, 0


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


@pytest.fixture(scope="module")
def matched(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Case], dict[str, Case], str, list[Match]]:
    """The corpus by lines and that of whole files as they lie on disk, what is above both, and what one scan of it matches."""
    program = Path(sys.executable).with_name("kingfisher")
    if not program.exists():
        lacking("Kingfisher: kingfisher-bin is not installed beside this interpreter")
    base = tmp_path_factory.mktemp("corpus")
    for name in ("files", "cache", "workspace"):
        (base / name).mkdir()
    root = str(base / "files")
    lines, whole = lay_out(base / "files/lines", cases()), lay_out(base / "files/shops", shops())
    with scanning_paths(str(program), [root], [".env"], str(base / "cache"), str(base / "workspace"), 300) as scanning:
        scan = understood(scanning)
    return lines, whole, root, scan.matches


@pytest.fixture(scope="module")
def scanned(
    matched: tuple[dict[str, Case], dict[str, Case], str, list[Match]],
) -> tuple[dict[str, Case], dict[str, Case], list[Finding]]:
    """The same, and what the scan comes to."""
    lines, whole, root, matches = matched
    return lines, whole, findings_in(matches, [root], [])


def test_each_rule_of_ours_has_a_secret_in_the_corpus(
    matched: tuple[dict[str, Case], dict[str, Case], str, list[Match]],
) -> None:
    places, _whole, _root, matches = matched
    found = set()
    for match in matches:
        secret = places[match.path].secrets.get(match.line) if match.path in places else None
        if secret is not None and (secret in match.value or match.value.strip("\"'` ") in secret):
            found.add(match.rule)
    ours = set(re.findall(rf"(?m)^    id: ({re.escape(PREFIX)}[a-z-]+)$", RULES_YAML))
    assert len(ours) == RULES_YAML.count("    id: ")
    assert ours <= found, sorted(ours - found)


def test_precision_and_recall(
    scanned: tuple[dict[str, Case], dict[str, Case], list[Finding]], capsys: pytest.CaptureFixture[str]
) -> None:
    places, _whole, found = scanned
    scores, words = score(
        places, [(item.target, item.line or 0, item.subject) for item in found if item.target in places]
    )
    with capsys.disabled():
        print("".join(f"\nsecret_scan, {half} half: {mine}" for half, mine in scores.items()))
    for mine in scores.values():
        assert mine.precision >= ENOUGH and mine.recall >= ENOUGH, "\n".join(words)


def test_whole_files_of_small_shops(
    scanned: tuple[dict[str, Case], dict[str, Case], list[Finding]], capsys: pytest.CaptureFixture[str]
) -> None:
    _lines, places, found = scanned
    with_secret = [case for case in places.values() if case.secrets]
    assert len(with_secret) == FILES and len(places) - len(with_secret) == HARMLESS
    assert all(len(case.secrets) == 1 for case in with_secret)
    told = [
        Told(item.target, item.line or 0, item.subject, item.severity in ("high", "critical"))
        for item in found
        if item.target in places
    ]
    hit, high, words = shop_score(places, told)
    with capsys.disabled():
        print(f"\nsecret_scan, small shops: {hit} of {FILES} found, {high} of {HARMLESS} harmless files called high")
    assert hit > PEER_FOUND and high <= PEER_HIGH, "\n".join(words)
    nothing = shop_score(places, [])
    assert nothing[:2] == (0, 0) and len(nothing[2]) == FILES
    alarm = next(path for path, case in places.items() if not case.secrets)
    assert shop_score(places, [Told(alarm, 1, "x", False)])[1] == 0
    assert shop_score(places, [Told(alarm, 1, "x", True)])[1] == 1
