# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Kingfisher's own rules are called in our findings: asked only where a waiver names what may be one."""

from __future__ import annotations

import json
from typing import FrozenSet

from .._core.errors import MaintenanceError
from .external_program import running_program
from .kingfisher import PACKAGE, kingfisher_environment
from .secret_matches import provider_rule

_TIMEOUT_SECONDS = 60.0


def provider_rules(program: str, workspace: str) -> FrozenSet[str]:
    """The names of our findings for the rules that Kingfisher brings.

    Args:
        program: the Kingfisher program.
        workspace: a directory of this run's own.

    Raises:
        MaintenanceError: it does not say.
    """
    command = [program, "rules", "list", "--no-update-check", "--format", "json"]
    environment = kingfisher_environment(workspace, workspace)
    step = "This collection is tested with %s 2.14.0: install that version." % PACKAGE
    with running_program("Kingfisher", command, workspace, environment, _TIMEOUT_SECONDS, program, step) as running:
        completed = running.completed()
    try:
        return frozenset(provider_rule(str(rule["id"])) for rule in json.loads(completed.output.decode("utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise MaintenanceError("Kingfisher does not list its rules", target=program, next_step=step) from error
