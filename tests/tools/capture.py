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
from html import escape
from pathlib import Path

from tests.support.sandboxes import Sandbox, sandbox_command, switch_off_jobs

ROOT = Path(__file__).resolve().parents[2]
COLUMNS, ROWS = 120, 40
WIDTH, HEIGHT, MARGIN = 8.0, 18, 16
BACKGROUND, FOREGROUND = "#1b1f27", "#d6d9df"
# Of the eight colours of a terminal those that Ansible uses, on a dark background.
COLOURS = {"31": "#ff6b68", "32": "#7fd08a", "33": "#e8c264", "34": "#79a8ff", "35": "#d79bf0", "36": "#6fcbd6"}
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


def spans(line: str) -> str:
    """A line as the inside of an SVG text element."""
    pieces, colour, begin = [], "", 0
    for mark in [*SGR.finditer(line), None]:
        text = line[begin : mark.start() if mark else None]
        if text:
            pieces.append(f'<tspan fill="{colour}">{escape(text)}</tspan>' if colour else escape(text))
        if mark:
            begin = mark.end()
            colour = next((COLOURS[code] for code in mark[1].split(";") if code in COLOURS), "")
    return "".join(pieces)


def drawn(text: str, columns: int = COLUMNS) -> str:
    """What a terminal shows as an SVG document."""
    lines = text.splitlines()
    width, height = columns * WIDTH + 2 * MARGIN, len(lines) * HEIGHT + 2 * MARGIN
    texts = [
        f'<text x="{MARGIN}" y="{MARGIN + (number + 0.75) * HEIGHT:g}" textLength="{len(SGR.sub("", line)) * WIDTH:g}" '
        f'lengthAdjust="spacingAndGlyphs">{spans(line)}</text>'
        for number, line in enumerate(lines)
        if line.strip()
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}">',
            "<style>text{font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre;"
            f"fill:{FOREGROUND}}}</style>",
            f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
            *texts,
            "</svg>\n",
        ]
    )


def result_of(shown: str) -> str:
    """The result of a run: from the title of its table to its verdict, and the line over all hosts."""
    begin = re.search(r"(?m)^weekly maintenance of ", shown)
    end = re.search(r"(?m)^record on the host:", shown)
    closing = re.findall(r"(?m)^.*\d+ hosts?: .*$", shown)
    if not begin or not end or not closing:
        raise RuntimeError(f"no run in what was shown:\n{shown[-3000:]}")
    return f"{shown[begin.start() : end.start()].rstrip()}\n\n{closing[-1]}"


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
