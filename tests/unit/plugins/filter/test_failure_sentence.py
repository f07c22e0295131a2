# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rescue notes of the task that failed."""

from __future__ import annotations

import yaml

from ansible_collections.miniecom.maintenance.plugins.filter.failure_sentence import FilterModule
from tests.support.playbooks import ROOT

STOPPING = {"failed": True, "msg": "non-zero return code", "rc": 5, "stderr": "Unit shop.service not loaded.\n"}


def test_a_loop_says_what_failed_in_it() -> None:
    told = FilterModule().filters()["failure_sentence"]
    result = {"failed": True, "msg": "One or more items failed", "results": [{"msg": "", "rc": 0}, STOPPING]}
    assert told(result) == "Unit shop.service not loaded. (exit status 5)"
    assert told({"failed": True}) == told(None) == "it failed without a message"


def test_the_report_notes_it_so() -> None:
    (noted,) = yaml.safe_load((ROOT / "roles/report/tasks/failure.yml").read_text(encoding="utf-8"))
    failures = noted["ansible.builtin.set_fact"]["report_failures"]
    assert "'message': ansible_failed_result | miniecom.maintenance.failure_sentence" in failures
