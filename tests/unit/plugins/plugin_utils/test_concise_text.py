# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.plugin_utils.concise_text import (
    HostEnd,
    beat,
    closing,
    due,
    harmless,
    sentence,
    title,
)


@pytest.mark.parametrize(
    "result, told",
    [
        ({"msg": "no space\n on /srv", "findings": [1] * 999}, "no space on /srv"),
        ({"msg": "Validation of arguments failed:\nvalue of x must be a"}, "value of x must be a"),
        ({"msg": "non-zero return code", "rc": 3, "stderr": "one\ntwo\n"}, "two (exit status 3)"),
        ({"msg": "MODULE FAILURE: See stdout", "rc": 1, "module_stderr": "Boom\n"}, "Boom (exit status 1)"),
        ({"msg": "One or more items failed", "results": [{"msg": "a", "failed": True}, {"msg": "b"}]}, "a"),
        ({"msg": "One or more items failed", "results": [{"msg": "a", "failed": True}] * 2}, "a"),
        ({"msg": "All items completed", "results": [{"unreachable": True, "msg": "no route"}]}, "no route"),
        ({"censored": "the output has been hidden", "changed": False}, "the output has been hidden"),
        ({"msg": "non-zero return code", "rc": 1, "stderr": ""}, "non-zero return code (exit status 1)"),
        ({}, "it failed without a message"),
    ],
)
def test_a_failure_is_one_sentence(result: dict[str, Any], told: str) -> None:
    assert sentence(result) == told


def test_no_name_of_a_collection_moves_the_cursor() -> None:
    assert (
        harmless("shop.\x1b[2J\u009b\r\u00fcml\u00e4ut \u202e: d\u00f6ne") == "shop.?[2J??\u00fcml\u00e4ut ?: d\u00f6ne"
    )


def test_it_says_that_it_lives_soon_and_later_less_often() -> None:
    assert not due(3.9, 4) and due(4, 4)
    assert not due(29, 70) and due(30, 70)
    assert not due(119, 700) and due(120, 700)


def test_hosts_at_the_same_task_share_a_line() -> None:
    text = beat([("b", "Back up", 5.0), ("a", "Back up", 9.4), ("c", "Compact", 1.0)])
    assert text == "  ... [a, b] Back up, 9 s\n  ... [c] Compact\n"
    assert beat([]) == ""
    far = {"a": "compact shop.orders, 1 of 2", "c": "", "d": "of no task"}
    assert beat([("b", "Back up", 5.0), ("a", "Back up", 9.4), ("c", "Compact", 1.0)], far) == (
        "  ... [a, b] Back up, 9 s\n      [a] compact shop.orders, 1 of 2\n  ... [c] Compact\n"
    )


def test_names_of_tasks_are_short() -> None:
    assert title("miniecom.maintenance.backup : Back up the shop ") == "backup : Back up the shop"
    assert title("miniecom.maintenance.logs : Validating arguments against arg spec 'main' - Rotate") == "logs"


def test_one_line_closes_over_all_hosts() -> None:
    ends = [HostEnd("a", "well"), HostEnd("b", "failed", "backup"), HostEnd("c", "unreachable"), HostEnd("d", "well")]
    assert closing(ends) == "4 hosts: 2 ended well (a, d); 1 failed (b: backup); 1 could not be reached (c)"
    assert closing(ends[:1]) == "1 host: 1 ended well (a)"
    assert closing([ends[0], HostEnd("z", "waiting")]) == "2 hosts: 1 ended well (a); 1 not begun (z)"
