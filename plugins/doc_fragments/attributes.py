# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attributes that every module declares."""

from __future__ import annotations


class ModuleDocFragment:
    """`attributes.acting` for modules that change something, `attributes.info` for those that only read."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Whether check mode tells what would happen without changing anything.
  diff_mode:
    description: Whether diff mode shows what changes, or in check mode would change.
  idempotent:
    description: Whether a second run with nothing new reports no change.
  platform:
    description: On which platforms the module runs.
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Whether check mode tells what would happen without changing anything.
    support: full
    details: Reads only.
  diff_mode:
    description: Whether diff mode shows what changes, or in check mode would change.
    support: none
    details: Changes nothing.
  idempotent:
    description: Whether a second run with nothing new reports no change.
    support: full
  platform:
    description: On which platforms the module runs.
    support: full
    platforms: linux
"""

    ACTING = r"""
options: {}
attributes:
  check_mode:
    description: Whether check mode tells what would happen without changing anything.
    support: full
    details: Stops after planning; nothing at all is changed on the host.
  diff_mode:
    description: Whether diff mode shows what changes, or in check mode would change.
    support: full
    details: Rendered from the plan.
  idempotent:
    description: Whether a second run with nothing new reports no change.
    support: full
  platform:
    description: On which platforms the module runs.
    support: full
    platforms: linux
"""
