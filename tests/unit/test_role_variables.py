# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role's inner variables, which begin with two underscores: each that is used is made somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.outline import ROOT

USED = re.compile(r"(?<![\w.'])__[a-z]\w*")
# As a key of variables or facts, or as what a task's result is called.
MADE = re.compile(r"^\s*(?:- )?(?:register: )?(__[a-z]\w*)(?::|\s*$)", re.MULTILINE)


def text_of(*places: Path) -> str:
    files = [file for place in places for file in sorted(place.rglob("*")) if file.suffix in (".yml", ".j2")]
    return "\n".join(re.sub(r"^\s*#.*$", "", file.read_text(), flags=re.MULTILINE) for file in files)


# What the playbooks hand to roles; an inner variable of one role is not for another one.
PLAYBOOKS = text_of(ROOT / "playbooks")


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir()))
def test_each_inner_variable_is_made(role: str) -> None:
    parts = [ROOT / "roles" / role / part for part in ("tasks", "defaults", "vars", "handlers", "templates")]
    text = text_of(*(part for part in parts if part.is_dir()))
    own = {name for name in USED.findall(text) if name.startswith(f"__{role}_")}
    foreign = set(USED.findall(text)) - own
    made = set(MADE.findall(text)) | set(MADE.findall(PLAYBOOKS))
    assert own <= made, sorted(own - made)
    assert foreign <= made, f"of another role, or misspelt: {sorted(foreign - made)}"


def test_it_sees_what_is_used_and_what_is_made() -> None:
    assert USED.findall("when: __a_b is defined and c.__d and not '__e' in x") == ["__a_b"]
    assert MADE.findall("  register: __a\n  vars:\n    __b: 1\n  when: __c\n") == ["__a", "__b"]
