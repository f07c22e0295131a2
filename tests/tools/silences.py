# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a command says nothing, on a terminal and in a log: whoever waits for it must see that it lives.

``python -m tests.tools.silences -- make demo`` runs it twice, in a terminal and into a pipe, and prints the longest silences with
the lines before and after them. The exit status is 1 when one is longer than --most seconds.
"""

from __future__ import annotations

import argparse
import os
import pty
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST = 5.0
SHOWN = 5


@dataclass(frozen=True)
class Piece:
    """What was read at a time, seconds after the start."""

    at: float
    text: str


@dataclass(frozen=True)
class Silence:
    """Seconds without a word, after what was said before it and until what came then."""

    seconds: float
    before: str
    after: str


def heard(command: Sequence[str], terminal: bool) -> list[Piece]:
    """Run a command to its end and note when it says what; an empty piece at its start and its end. Prints it meanwhile."""
    started = time.monotonic()
    pieces = [Piece(0.0, "")]
    reader, writer = pty.openpty() if terminal else os.pipe()
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer) as process:
        os.close(writer)
        while True:
            try:
                data = os.read(reader, 65536)
            except OSError:  # so ends a terminal that nobody has open any more
                break
            if not data:
                break
            pieces.append(Piece(time.monotonic() - started, data.decode("utf-8", "replace")))
            print(pieces[-1].text, end="", flush=True)
        process.wait()
    os.close(reader)
    return [*pieces, Piece(time.monotonic() - started, "")]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()] or [""]


def silences(pieces: Sequence[Piece]) -> list[Silence]:
    """All of them, the longest first."""
    found = [
        Silence(after.at - before.at, _lines(before.text)[-1], _lines(after.text)[0])
        for before, after in pairwise(pieces)
    ]
    return sorted(found, key=lambda silence: -silence.seconds)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.silences", description=__doc__)
    parser.add_argument(
        "--most", type=float, default=MOST, help=f"seconds that may pass without a word (default {MOST:g})"
    )
    parser.add_argument("--only", choices=["terminal", "log"], help="one of the two")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    report, worst = [], 0.0
    for kind in ("terminal", "log"):
        if options.only in (None, kind):
            found = silences(heard(options.command, kind == "terminal"))
            worst = max(worst, found[0].seconds)
            report += [f"{kind}: the longest silences"]
            report += [
                f"  {one.seconds:5.1f} s  after {one.before[:90]!r}, before {one.after[:90]!r}" for one in found[:SHOWN]
            ]
    print("\n".join(report))
    return 1 if worst > options.most else 0


if __name__ == "__main__":
    sys.exit(main())
