# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The labelled corpus of secrets: what it holds, and how well a scan does on it.

It is split once and for all into a half to work on and a half that is only measured: whoever improves a rule looks at what is
missed in the first half alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parents[1] / "corpus"
WORK, MEASURED = "work", "measured"


@dataclass(frozen=True)
class Case:
    """One file.

    secrets: line -> what is secret there.
    """

    path: str
    text: str
    secrets: dict[int, str]

    @property
    def half(self) -> str:
        digest = hashlib.sha256(f"{self.path}\n{self.text}".encode()).digest()
        return MEASURED if digest[0] % 2 else WORK


def _case(path: str, lines: list[str]) -> Case:
    secrets = {}
    for number, line in enumerate(lines, 1):
        found = re.search("«(.*)»", line)
        if found:
            secrets[number] = found.group(1)
    return Case(path, re.sub("[«»]", "", "\n".join(lines)) + "\n", secrets)


def read(name: str) -> Iterator[Case]:
    """The cases of a file of the corpus."""
    path, together = "", []
    for line in [*(DIRECTORY / name).read_text(encoding="utf-8").split("\n"), ""]:
        if line.startswith("| "):
            together.append(line[2:])
            continue
        if together:
            yield _case(path, together)
            together = []
        if line.startswith("@ "):
            path = line[2:]
        elif line and not (line.startswith("# ") and not path):
            yield _case(path, [line])


def cases() -> list[Case]:
    """All of it."""
    return [*read("secrets-positive.txt"), *read("secrets-negative.txt")]


def lay_out(root: Path, corpus: Iterable[Case]) -> dict[str, Case]:
    """Write each case below the directory, in one of its own; returns path -> case."""
    places = {}
    for number, case in enumerate(corpus):
        path = root / f"{number:04}" / case.path
        path.parent.mkdir(parents=True)
        path.write_text(case.text, encoding="utf-8")
        places[str(path)] = case
    return places


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
