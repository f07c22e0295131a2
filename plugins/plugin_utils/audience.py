# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who reads what Ansible prints: a person, or a program that must find nothing beside what its callback writes; and how wide and in
which colours a person reads it."""

from __future__ import annotations

import os

from ansible import constants
from ansible.plugins.loader import callback_loader
from ansible.utils.color import stringc
from ansible.utils.display import Display

from .step_report import WIDTH

# For people, although they are no kind of the default one.
FOR_PEOPLE = frozenset({"default", "minimal", "oneline", "selective"})
DEFAULT_CALLBACK = "ansible.plugins.callback.default"
# Ansible's settings for the colours of what a step came to.
COLOURS = {
    "failed": "COLOR_ERROR",
    "unreachable": "COLOR_UNREACHABLE",
    "changed": "COLOR_CHANGED",
    "would": "COLOR_CHANGED",
    "skipped": "COLOR_SKIP",
    "ok": "COLOR_OK",
}


def _terminal() -> int:
    """Columns of the terminal that standard output is; 0 for none."""
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return 0


# When this is imported: what Ansible's workers do is cut off from the terminal, but their parent has imported it before.
TERMINAL = _terminal()


def width() -> int:
    """How wide what is printed may be: COLUMNS, the terminal's width, or 100 where there is none."""
    asked = os.environ.get("COLUMNS", "")
    return max(40, int(asked) if asked.isdigit() and int(asked) else TERMINAL or WIDTH)


def paint(text: str, status: str) -> str:
    """A text in the colour that Ansible has for a status; as it is where Ansible shows none (NO_COLOR, no terminal)."""
    name = COLOURS.get(status)
    return str(stringc(text, getattr(constants, name))) if name else text


def show(text: str, coloured: str = "") -> bool:
    """Print something for people, unless a program reads what is printed. Returns whether it was printed.

    Args:
        coloured: the same with colours, for the screen; Ansible's log gets the plain one.
    """
    if not read_by_people():
        return False
    display = Display()
    display.display("\n%s\n" % (coloured or text), screen_only=True)
    display.display("\n%s\n" % text, log_only=True)
    return True


def read_by_people(callback: str = "") -> bool:
    """Whether a callback for standard output writes for people.

    Nearly all that do are kinds of Ansible's default one, that of AWX included, which takes further text for an event of
    its own. json, jsonl and null are none; nor, to be safe, is what cannot be found.

    Args:
        callback: its name; by default the one of this process.
    """
    name = callback or str(constants.DEFAULT_STDOUT_CALLBACK)
    if name.rpartition(".")[2] in FOR_PEOPLE:
        return True
    try:
        found = callback_loader.get(name, class_only=True)
    except Exception:  # pylint: disable=broad-except
        # A callback that cannot be loaded has said so already.
        return False
    return any(base.__module__ == DEFAULT_CALLBACK for base in getattr(found, "__mro__", ()))
