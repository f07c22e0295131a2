# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of every module: the run it belongs to."""

from __future__ import annotations


class ModuleDocFragment:
    """Run id and state directory."""

    DOCUMENTATION = r"""
options:
  run_id:
    description:
      - The run that this call belongs to, as returned by M(miniecom.maintenance.maintenance_run).
      - With it the module renews the run's lease, fails before acting when the run no longer holds the host, and adds what it did to the
        run's record. Without it the module works on its own.
    type: str
  state_dir:
    description: Directory on the host that holds lease, records, history and undo data.
    type: path
    default: /var/lib/miniecom-maintenance
"""
