# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that all audits have: what fails them, what may stand, where the SARIF log goes."""

from __future__ import annotations

from typing import Any, Mapping, Tuple

from .._core.arguments import ArgumentSpec
from .._core.finding import FAIL_ON, NEW
from .._core.late_dataclass import dataclass
from .._core.waiver import Waiver, parse_waivers

FINDING_ARGUMENTS = ArgumentSpec(
    {
        "fail_on": {"type": "str", "choices": list(FAIL_ON), "default": "high"},
        "fail_for": {"type": "str", "choices": [NEW, "all"], "default": NEW},
        "waivers": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "fingerprint": {"type": "str"},
                "target": {"type": "str"},
                "rule": {"type": "str"},
                "reason": {"type": "str", "required": True},
                "expires": {"type": "str", "required": True},
            },
        },
        "update_baseline": {"type": "bool", "default": False},
        "sarif": {"type": "path"},
    }
)


@dataclass(frozen=True)
class FindingPolicy:
    """What the user wants of findings, whichever audit they come from.

    Attributes:
        fail_on: the severity from which a new finding fails the audit, or "never".
        waivers: what may stand for a while.
        update_baseline: take everything found as known from now on.
        sarif: path of the SARIF log, "" for none.
        fail_for: "new", or "all" when known findings fail the audit as well.
    """

    fail_on: str = "high"
    waivers: Tuple[Waiver, ...] = ()
    update_baseline: bool = False
    sarif: str = ""
    fail_for: str = NEW


def finding_policy(params: Mapping[str, Any]) -> FindingPolicy:
    """The policy that a module's options state.

    Raises:
        MaintenanceError: a waiver is none.
    """
    return FindingPolicy(
        params["fail_on"],
        tuple(parse_waivers(params["waivers"])),
        bool(params["update_baseline"]),
        params["sarif"] or "",
        params.get("fail_for") or NEW,
    )
