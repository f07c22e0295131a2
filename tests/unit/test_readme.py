# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the README tells people to type is there, and what it says they will see is said somewhere."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from ansible_collections.miniecom.maintenance.plugins.plugin_utils.known_names import known_variables

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
# Said by Ansible, not by us.
ANSIBLES = {
    "No start of json char found",
    "Specified inventory, host pattern and/or --limit leaves us with no hosts to target",
}


@cache
def sources() -> str:
    """All that can print something on a user's screen, with one space where a text is broken over lines."""
    paths = [path for top in ("plugins", "roles", "playbooks") for path in sorted((ROOT / top).rglob("*"))]
    text = "\n".join(path.read_text("utf-8") for path in paths if path.suffix in (".py", ".yml"))
    return " ".join(re.sub(r'"\s*\n\s*"', "", text).split())


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def troubles() -> list[str]:
    rows = [line for line in section("When something is wrong").splitlines() if line.startswith("| ")][1:]
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def test_the_table_of_troubles_has_what_goes_wrong_first() -> None:
    found = " ".join(troubles())
    for word in ("sudo", "venv", "package index", "Python ...", "logrotate", "maintenance was put up by"):
        assert word in found
    assert "Ctrl-C" in section("When something is wrong") and "maintenance_mode_force=true" in TEXT


@pytest.mark.parametrize("message", troubles())
def test_what_it_says_one_sees_is_said_somewhere(message: str) -> None:
    if message in ANSIBLES:
        return
    for part in message.split("..."):
        words = part.strip(" ,;:")
        if len(words) > 3:
            assert words.lower() in sources().lower(), f"nothing says {words!r}"


def test_every_playbook_that_is_named_is_there() -> None:
    names = set(re.findall(r"miniecom\.maintenance\.([a-z_]+) -i", TEXT))
    names |= set(re.findall(r"PLAYBOOK=([a-z_]+)", TEXT)) | set(re.findall(r"playbooks/([a-z_]+)\.yml", TEXT))
    assert len(names) > 20
    assert [name for name in sorted(names) if not (ROOT / "playbooks" / f"{name}.yml").exists()] == []


def test_every_target_of_make_that_is_named_is_there() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))
    assert set(re.findall(r"`?\bmake ([a-z-]+)`", TEXT)) - targets == set()


def test_every_variable_that_is_named_is_one() -> None:
    known = known_variables()
    names = set(re.findall(r"-e [\"']*\{?[\"']*([a-z_]+)", TEXT))
    names |= {name for name in re.findall(r"`([a-z]+_[a-z_]+)`", TEXT) if name.partition("_")[0] == "miniecom"}
    assert len(names) > 10
    playbooks = "".join(path.read_text("utf-8") for path in (ROOT / "playbooks").glob("*.yml"))
    unknown = [
        name
        for name in sorted(names)
        if name not in known.options and not re.search(rf"\b{name}\b", playbooks) and not name.startswith("ansible_")
    ]
    assert unknown == []


def test_its_inventory_is_one_for_a_user_who_is_not_root() -> None:
    text = TEXT.partition("### Inventory")[2].partition("```yaml\n")[2].partition("```")[0]
    group = yaml.safe_load(text)["all"]["children"]["miniecom"]
    assert len(group["hosts"]) == 2
    assert {"ansible_user", "ansible_become_method"} <= set(group["vars"])


def test_every_file_it_leads_to_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    assert "docs/weekly.svg" in links
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    assert [link for link in links if not (ROOT / link).exists() or (listed and link not in listed)] == []
