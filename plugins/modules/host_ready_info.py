#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of the same name; the host is asked in its shell."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_ready_info
short_description: Tell whether a host can be maintained, and what it lacks
version_added: 0.1.0
description:
  - Asks a host in its shell, before any module runs there, whether the user becomes root and whether there is a Python that this Ansible can use.
  - What is missing is told in one sentence with the command that helps, which holds the inventory, variables and connection of this run.
    Secrets given with C(-e) are left out of it.
  - Changes nothing, and does the same in check mode.
options:
  run_name:
    description: What the run is called that was to begin. What is missing is then shown as its table, too.
    type: str
  base_python:
    description: The Python that is to make a virtual environment; it is asked whether it can.
    type: str
  environment:
    description: A virtual environment; RV(environment) says whether it can be used.
    type: dict
    suboptions:
      mark:
        description: A file that is there when the environment is complete.
        type: str
        required: true
      python:
        description: Its Python.
        type: str
        required: true
  pip:
    description: The result of a call of pip on that host. When it failed, this says why.
    type: dict
  requirements:
    description: What pip was asked to install, as the text of a requirements file.
    type: str
    default: ""
  wheelhouse:
    description: The directory of the controller that pip's wheels came from; empty for a package index.
    type: str
    default: ""
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
author:
  - miniecom.maintenance contributors (@miniecom)
seealso:
  - module: miniecom.maintenance.context_info
"""

EXAMPLES = r"""
- name: Check that the host can be maintained
  miniecom.maintenance.host_ready_info:
"""

RETURN = r"""
python:
  description: The Python that Ansible uses there.
  type: str
  returned: success
  sample: /usr/bin/python3
version:
  description: Its version.
  type: str
  returned: success
  sample: "3.11"
environment:
  description: Whether O(environment) is complete, and its Python runs. V(false) where none was asked for.
  type: bool
  returned: success
"""
