# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of modules whose tasks may end without a call."""

from __future__ import annotations


class ModuleDocFragment:
    """What has been done in one call with others, or need not be done."""

    DOCUMENTATION = r"""
options:
  given:
    description:
      - The result that this very call has had already, as M(miniecom.maintenance.several) returned it, or C(skipped) and C(reason) where there is
        nothing to do.
      - With it the host is not asked, and the task ends with that result. Without it, or when it is empty, the module does its work.
    type: dict
seealso:
  - module: miniecom.maintenance.several
"""
