# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The labelled corpus of secrets: what it holds, and how well a scan does on it.

Most of it is one line a file, which measures the rules. It is split once and for all into a half to work on and a half that is
only measured: whoever improves a rule looks at what is missed in the first half alone. Beside it stand whole files of small shops, 69
with one secret each and 32 harmless ones full of settings about tokens, which are only measured as well.

``«`` and ``»`` stand around a secret; ``¦`` stands for nothing, where a value would otherwise look like the token of a real
provider to those who watch what is pushed; ``{utf-16}`` and the like after a path say how its file is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parents[1] / "corpus"
WORK, MEASURED, SHOPS = "work", "measured", "shops"
_NEWLINES = {"cr": "\r", "crlf": "\r\n"}
_MARKS = re.compile("[«»¦]")


@dataclass(frozen=True)
class Case:
    """One file.

    secrets: line -> what is secret there; form: how the file is written.
    """

    half: str
    path: str
    text: str
    secrets: dict[int, str]
    form: str = ""

    def content(self) -> bytes:
        """What lies in the file."""
        text = self.text.replace("\n", _NEWLINES.get(self.form, "\n"))
        if self.form == "utf-16-be":
            return text.encode("utf-16-be")
        return text.encode("utf-16" if self.form == "utf-16" else "utf-8")


def _case(half: str, where: str, lines: list[str]) -> Case:
    secrets = {}
    for number, line in enumerate(lines, 1):
        found = re.search("«(.*)»", line)
        if found:
            secrets[number] = _MARKS.sub("", found.group(1))
    path, _, form = where.partition(" {")
    return Case(half, path, _MARKS.sub("", "\n".join(lines)) + "\n", secrets, form.rstrip("}"))


def read(half: str, kind: str) -> Iterator[Case]:
    """The cases of a file of the corpus; kind: positive or negative."""
    where, together = "", []
    for line in [*(DIRECTORY / f"{half}-{kind}.txt").read_text(encoding="utf-8").split("\n"), ""]:
        if line.startswith("| "):
            together.append(line[2:])
            continue
        if together:
            yield _case(half, where, together)
            together = []
        if line.startswith("@ "):
            where = line[2:]
        elif line and not (line.startswith("# ") and not where):
            yield _case(half, where, [line])


def shops() -> list[Case]:
    """Whole files of small shops: 69 with one secret each, 32 harmless ones."""
    return [case for kind in ("positive", "negative") for case in read(SHOPS, kind)]


def cases() -> list[Case]:
    """Both halves."""
    return [case for half in (WORK, MEASURED) for kind in ("positive", "negative") for case in read(half, kind)]


def lay_out(root: Path, corpus: Iterable[Case]) -> dict[str, Case]:
    """Write each case below the directory, in one of its own; returns path -> case."""
    places = {}
    for number, case in enumerate(corpus):
        path = root / f"{number:04}" / case.path
        path.parent.mkdir(parents=True)
        path.write_bytes(case.content())
        places[str(path)] = case
    return places


@dataclass(frozen=True)
class Told:
    """What a scan told of one line of a file; high: whether it would fail a job by default."""

    path: str
    line: int
    value: str
    high: bool


def shop_score(places: dict[str, Case], told: Iterable[Told]) -> tuple[int, int, list[str]]:
    """In how many files of small shops the secret was found, in how many harmless ones something is called high, and which were wrong."""
    found, alarmed = set(), set()
    for item in told:
        case = places[item.path]
        secret = case.secrets.get(item.line)
        if secret is not None and (item.value.strip() in secret or secret.strip() in item.value):
            found.add(item.path)
        if not case.secrets and item.high:
            alarmed.add(item.path)
    wrong = [f"missed  {case.path}" for path, case in places.items() if case.secrets and path not in found]
    return len(found), len(alarmed), wrong + [f"high    {places[path].path}" for path in sorted(alarmed)]


@dataclass
class Score:
    """found: secrets that were told; missed: those that were not; wrong: what was told and is none."""

    found: int = 0
    missed: int = 0
    wrong: int = 0

    @property
    def precision(self) -> float:
        return self.found / max(self.found + self.wrong, 1)

    @property
    def recall(self) -> float:
        return self.found / max(self.found + self.missed, 1)

    def __str__(self) -> str:
        return f"precision {self.precision:.3f}, recall {self.recall:.3f} ({self.found} found, {self.missed} missed, {self.wrong} wrong)"


def score(places: dict[str, Case], told: Iterable[tuple[str, int, str]]) -> tuple[dict[str, Score], list[str]]:
    """How well a scan did, for each half, and in words what went wrong in the half to work on.

    told: path, line and what was taken for a secret.
    """
    scores = {WORK: Score(), MEASURED: Score()}
    hit: set[tuple[str, int]] = set()
    wrong: set[tuple[str, int]] = set()
    for path, line, value in told:
        secret = places[path].secrets.get(line)
        right = secret is not None and (value.strip() in secret or secret.strip() in value)
        (hit if right else wrong).add((path, line))
    words = []
    for path, case in places.items():
        mine = scores[case.half]
        lines = case.text.split("\n")
        for line in case.secrets:
            if (path, line) in hit:
                mine.found += 1
            else:
                mine.missed += 1
                words += [f"missed  {case.path}: {lines[line - 1].strip()}"] if case.half == WORK else []
        for line in sorted(number for name, number in wrong - hit if name == path):
            mine.wrong += 1
            words += [f"wrong   {case.path}: {lines[line - 1].strip()}"] if case.half == WORK else []
    return scores, words
