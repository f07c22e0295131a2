#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of the same name; the host is not asked."""

from __future__ import annotations

DOCUMENTATION = r"""
module: variables_info
short_description: Check a host's variables against what the roles of the play take
version_added: 0.1.0
description:
  - Compares the variables of a host with the argument specifications of all roles that the play has imported, and tells all that is wrong at once.
    By itself Ansible checks the arguments of each role when its turn has come, which may be after hours.
  - A variable that differs from one of this collection's by a letter, or in longer names two, is told as misspelt. Other names that begin alike may
    belong to other roles and are let through.
  - A value that rests on what a task of the run finds out is not judged; the module that gets it does.
  - Asks nothing of the host and changes nothing, and does the same in check mode.
options:
  run_name:
    description: What the run is called that was to begin. What is wrong is then shown as its table, too.
    type: str
  own:
    description: Names or patterns of names that are none of this collection's, although they look like one.
    type: list
    elements: str
    default: []
  conditional:
    description: Roles that the play has imported and may not use. A variable of theirs may rest on one that is not set.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
author:
  - miniecom.maintenance contributors (@miniecom)
seealso:
  - module: miniecom.maintenance.host_ready_info
"""

EXAMPLES = r"""
- name: Check the variables
  miniecom.maintenance.variables_info:
    own: [backup_server]
"""

RETURN = r"""
problems:
  description: Sentences.
  type: list
  elements: str
  returned: always
  sample: ["value of alerts_threshold must be one of: low, medium, high, critical, got: hihg."]
"""
