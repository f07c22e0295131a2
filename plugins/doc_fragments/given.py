# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of modules that can be called several at a time."""

from __future__ import annotations


class ModuleDocFragment:
    """What has been done in one call with others."""

    DOCUMENTATION = r"""
options:
  given:
    description:
      - The result that this very call has had already, as M(miniecom.maintenance.several) returned it.
      - With it the host is not asked again, and the task ends with that result. Without it, or when it is empty, the module does its work.
    type: dict
seealso:
  - module: miniecom.maintenance.several
"""
