# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which scope findings about settings belong to."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.container_rules import CONTAINER_SCOPE
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.environment_rules import ENVIRONMENT_SCOPE
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.shop_configuration import (
    Inspected,
    examine_configuration,
)


def test_what_a_container_was_given_is_not_taken_for_mended_where_no_engine_answers(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("COOKIE_SECRET=secret\n")
    container = Inspected({"Names": ["/api"], "Labels": {}}, {"Config": {"Env": ["JWT_SECRET=changeme"]}}, {})
    seen = examine_configuration([], [container], "", [str(env)], True, True)
    scopes = {finding.target: finding.scope for finding in seen.findings if finding.rule == "default-secret-in-use"}
    assert scopes == {str(env): ENVIRONMENT_SCOPE, "container api": CONTAINER_SCOPE}
    assert {finding.scope for finding in seen.findings} <= set(seen.scopes)
    assert CONTAINER_SCOPE not in examine_configuration([], [], "", [str(env)], True, False).scopes
    assert ENVIRONMENT_SCOPE not in examine_configuration([], [container], "", [], True, True).scopes
