# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a task failed, in one sentence."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

from ..plugin_utils.concise_text import sentence

DOCUMENTATION = r"""
name: failure_sentence
short_description: Why a task failed, in one sentence
version_added: 0.1.0
description:
  - Returns the message of a failed result. Of a loop those of the items that failed, which Ansible itself only calls one or more; of a command that
    says nothing else the last line that it has printed and its exit status.
options:
  _input:
    description: The result, such as C(ansible_failed_result) in a rescue.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say what failed
  ansible.builtin.debug:
    msg: "{{ ansible_failed_result | miniecom.maintenance.failure_sentence }}"
"""

RETURN = r"""
_value:
  description: The sentence.
  type: str
"""


def failure_sentence(result: Any) -> str:
    return sentence(result if isinstance(result, Mapping) else {})


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"failure_sentence": failure_sentence}
