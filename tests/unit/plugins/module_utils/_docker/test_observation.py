# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where paths of containers and volumes really lie."""

from __future__ import annotations

import os
import tempfile

from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.observation import real_path

NAMES = st.sampled_from(["a", "b", "c", "", ".", ".."])
PATHS = st.lists(NAMES, min_size=1, max_size=5).map("/".join)


@example(directories=[], links=[("a", "a", False)], paths=["a//a"])  # a link that leads to itself
@given(
    directories=st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join), max_size=4),
    links=st.lists(st.tuples(PATHS, PATHS, st.booleans()), max_size=4),
    paths=st.lists(PATHS, max_size=8),
)
def test_a_path_lies_where_the_system_says(
    directories: list[str], links: list[tuple[str, str, bool]], paths: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as root:
        for directory in directories:
            os.makedirs(f"{root}/{directory}", exist_ok=True)
        for place, target, absolute in links:
            try:
                os.symlink(f"{root}/{target}" if absolute else target, f"{root}/{place}")
            except OSError:
                continue  # it is there already, or has no directory
        known: dict[str, str] = {}
        asked = [f"{root}/{path}" for path in paths]
        found = [real_path(path, known) for path in asked]
        assert found == [os.path.realpath(path) for path in asked]
        # Whatever has no end is left to the system.
        deep = root + "/x" * 2000
        assert real_path(deep, known) == os.path.realpath(deep)
