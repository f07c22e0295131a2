# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who reads what Ansible prints: a person, or a program that must find nothing beside what its callback writes."""

from __future__ import annotations

from ansible import constants
from ansible.plugins.loader import callback_loader

# For people, although they are no kind of the default one.
FOR_PEOPLE = frozenset({"default", "minimal", "oneline", "selective"})
DEFAULT_CALLBACK = "ansible.plugins.callback.default"


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
