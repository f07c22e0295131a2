# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the rules of all audits are called. Pure."""

from __future__ import annotations

from typing import Dict, FrozenSet

SECRET_RULES = frozenset(("default-credentials", "hard-coded-secret", "secret-fallback"))
# Judged where the containers of a replica set are looked at, and told by port_audit.
KILLED_WHEN_STOPPED = "mongod-killed-when-stopped"


def rule_names() -> Dict[str, FrozenSet[str]]:
    """Names, former names and ids of the rules by audit; those of Kingfisher's and the advisories of npm are not among them."""
    # An audit has no need of the others' rules but where a waiver names none of its own.
    from .container_rules import CONTAINER_RULES
    from .declared_ports import DECLARED_RULES
    from .environment_rules import ENVIRONMENT_RULES
    from .permission_rules import RULES, current_names
    from .port_rules import PORT_RULES

    containers = {rule.id for rule in CONTAINER_RULES} | {KILLED_WHEN_STOPPED}
    return {
        "perm_audit": frozenset(current_names(RULES)),
        "secret_scan": SECRET_RULES,
        "port_audit": PORT_RULES | DECLARED_RULES | ENVIRONMENT_RULES | containers,
    }
