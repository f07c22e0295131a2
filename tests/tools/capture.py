# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A picture of a real run for the README: raises a sandbox, runs the weekly maintenance in a terminal, draws what that shows.

``python -m tests.tools.capture`` writes docs/weekly.svg. Nothing of it is drawn by hand; the text can be selected and searched.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tests.support.sandboxes import Sandbox, sandbox_command, switch_off_jobs

ROOT = Path(__file__).resolve().parents[2]
# Wide enough for what each step says to stand beside its numbers, which keeps the picture low enough for a first screen.
COLUMNS, ROWS = 132, 40
OMITTED = "[...]"
WIDTH, HEIGHT, MARGIN = 8.0, 18, 16
BACKGROUND, FOREGROUND = "#1b1f27", "#d6d9df"
# Of the eight colours of a terminal those that Ansible uses, on a dark background.
COLOURS = {"31": "#ff6b68", "32": "#7fd08a", "33": "#e8c264", "34": "#79a8ff", "35": "#d79bf0", "36": "#6fcbd6"}
FONTS = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
SGR = re.compile(r"\x1b\[([0-9;]*)m")


def in_terminal(command: list[str], env: dict[str, str], columns: int = COLUMNS) -> tuple[int, str]:
    """Run a command in a terminal; its exit status and all that it shows, colours included."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        os.execvpe(command[0], command, {**env, "TERM": "xterm-256color"})
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, shown.decode("utf-8", "replace").replace("\r\n", "\n")


@dataclass(frozen=True)
class Words:
    """Words of a line with single spaces between them: what stands in its place whatever a viewer does to further spaces.

    column: where they begin, from 0; colour: empty for the terminal's own.
    """

    column: int
    text: str
    colour: str


def words_of(line: str) -> list[Words]:
    """A line of a terminal, in the pieces that are drawn."""
    found, colour, column, begin = [], "", 0, 0
    for mark in [*SGR.finditer(line), None]:
        text = line[begin : mark.start() if mark else None]
        found += [Words(column + part.start(), part[0], colour) for part in re.finditer(r"\S+(?: \S+)*", text)]
        column += len(text)
        if mark:
            begin = mark.end()
            colour = next((COLOURS[code] for code in mark[1].split(";") if code in COLOURS), "")
    return found


def _element(words: Words, row: int) -> str:
    x, y = MARGIN + words.column * WIDTH, MARGIN + (row + 0.75) * HEIGHT
    fill = f' fill="{words.colour}"' if words.colour else ""
    # The length keeps columns in place whatever font there is.
    length = f'textLength="{len(words.text) * WIDTH:g}" lengthAdjust="spacingAndGlyphs"'
    return f'<text x="{x:g}" y="{y:g}" {length}{fill}>{escape(words.text)}</text>'


def drawn(text: str, columns: int = COLUMNS) -> str:
    """What a terminal shows as an SVG document."""
    lines = text.splitlines()
    width, height = columns * WIDTH + 2 * MARGIN, len(lines) * HEIGHT + 2 * MARGIN
    texts = [_element(words, row) for row, line in enumerate(lines) for words in words_of(line)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}">',
            f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
            f'<g fill="{FOREGROUND}" font-size="13" font-family="{FONTS}">',
            *texts,
            "</g>",
            "</svg>\n",
        ]
    )


def result_of(shown: str) -> str:
    """The result of a run: its table, its verdict, and the line over all hosts. That the findings were left out is marked."""
    found = re.search(
        r"(?ms)^(weekly maintenance of .*?)^(Findings:\n.*?)?^(all \d+ steps .*?)^record on the host:", shown
    )
    closing = re.findall(r"(?m)^.*\d+ hosts?: .*$", shown)
    if not found or not closing:
        raise RuntimeError(f"no run in what was shown:\n{shown[-3000:]}")
    table, findings, verdict = (part and part.rstrip() for part in found.groups())
    return "\n\n".join([table, *([OMITTED] if findings else []), verdict, closing[-1]])


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.capture", description=__doc__)
    parser.add_argument(
        "--directory", type=Path, default=Path("/tmp/shop"), help="of the sandbox; its path is in the picture"
    )
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "weekly.svg")
    chosen = parser.parse_args(arguments)
    sandbox = Sandbox(chosen.directory, "native")
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        "inventories/sandbox",
        "playbooks/weekly.yml",
    ]
    env = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), **sandbox.environment())
    try:
        sandbox_command("up", "native", chosen.directory)
        # As a shop looks whose owner has read what assess says.
        switch_off_jobs(sandbox)
        status, shown = in_terminal(command, env)
    finally:
        sandbox_command("down", "native", chosen.directory)
    if status:
        raise RuntimeError(shown[-3000:])
    typed = "$ ansible-playbook miniecom.maintenance.weekly -i inventory.yml"
    chosen.to.write_text(drawn(f"{typed}\n\n{result_of(shown)}"), encoding="utf-8")
    print(f"wrote {chosen.to}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
