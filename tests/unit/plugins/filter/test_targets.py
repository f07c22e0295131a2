# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.miniecom.maintenance.plugins.filter.targets import targets

GROUPS = {"all": ["a", "b"], "miniecom": ["a"], "empty": [], "ungrouped": ["b"]}


@pytest.mark.parametrize(
    "pattern", ["miniecom", "a", "empty:miniecom", "miniecom:!b", "mini*", "~mini.*", "miniecom[0]", ["miniecom", "b"]]
)
def test_somebody(pattern: object) -> None:
    assert targets(pattern, GROUPS)


@pytest.mark.parametrize(
    "pattern", ["empty", "nowhere", "nowhere*", "", "!miniecom", "empty:nowhere", "miniecom:!a", "miniecom:&empty"]
)
def test_nobody(pattern: str) -> None:
    with pytest.raises(AnsibleFilterError, match="no host to maintain"):
        targets(pattern, GROUPS)


@pytest.mark.parametrize("pattern", ["all", "*", "all:!a", "miniecom,all", "al*", "~.*", ["a", "*"]])
def test_never_everybody(pattern: str) -> None:
    with pytest.raises(AnsibleFilterError, match="never run on all hosts"):
        targets(pattern, GROUPS)


def test_a_broken_expression_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="no regular expression"):
        targets("~(", GROUPS)
