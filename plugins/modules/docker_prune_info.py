#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look back on what was removed of Docker."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_prune_info
short_description: Tells what a run removed of Docker, and how to have it again
version_added: 0.1.0
description:
  - Reads the record that M(miniecom.maintenance.docker_prune) has left on the host in a run, and lists each object that it removed with what it takes to have
    it again, such as the digest by which to pull an image, or the compose service of a container.
  - Nothing is done, and no engine is asked. What was in a volume, or in the layer of a container, is gone; only a backup has it.
  - The record lies in the state directory as long as the records of runs are kept there. A call of M(miniecom.maintenance.docker_prune) outside of a run leaves
    none, but returns the same for each object.
options:
  of_run:
    description: The run to look back on, as the summary and the maintenance log name it.
    type: str
    required: true
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.run
seealso:
  - module: miniecom.maintenance.docker_prune
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Look back on what a run removed
  miniecom.maintenance.docker_prune_info:
    of_run: 20261129T030000Z-a1b2c3
  register: gone

- name: Show how to have it again
  ansible.builtin.debug:
    msg: "{{ gone.lines + gone.more_lines | flatten(1) }}"
"""

RETURN = r"""
removed:
  description: What was removed, in order; at most 200, their number is in C(counts.removed).
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: "V(container), V(image), V(build cache), V(network) or V(volume).", type: str}
    target: {description: What it was called., type: str}
    at: {description: "When it was removed, in UTC.", type: str}
    again: {description: How to have it again., type: str}
  sample:
    - kind: image
      target: mongo:6.0
      at: "2026-11-29T03:00:04Z"
      again: docker pull mongo@sha256:0fcc6ad7c790 && docker tag mongo@sha256:0fcc6ad7c790 mongo:6.0
unsure:
  description: What was to be removed when the run was killed or the power failed. It may be there or not.
  returned: always
  type: list
  elements: dict
lines:
  description: The same for people, one line for each object; the first 200.
  returned: always
  type: list
  elements: str
more_lines:
  description: The lines that follow these, at most 200 in each list.
  returned: always
  type: list
  elements: list
summary:
  description: The few numbers.
  returned: always
  type: dict
  contains:
    headline: {description: One sentence., type: str}
    removed: {description: How many objects were removed., type: int}
    unsure: {description: Of how many nobody knows., type: int}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run_info
from ..module_utils._docker.looking_back import look_back

SPEC = ArgumentSpec({"of_run": {"type": "str", "required": True}}) + RUN_ARGUMENTS


def main() -> None:
    run_info(look_back, SPEC)


if __name__ == "__main__":
    main()
