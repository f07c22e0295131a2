# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of modules that rotate backups: which ones stay."""

from __future__ import annotations


class ModuleDocFragment:
    """The rules of a rotation."""

    DOCUMENTATION = r"""
options:
  keep_last:
    description: Keep this many of the newest backups, whatever their dates.
    type: int
    default: 0
  keep_daily:
    description: Keep one backup of each of this many days.
    type: int
    default: 0
  keep_weekly:
    description: Keep one backup of each of this many weeks.
    type: int
    default: 0
  keep_monthly:
    description: Keep one backup of each of this many months.
    type: int
    default: 0
  keep_within:
    description:
      - Keep all backups that are no older than this, counted from the newest one, as C(restic forget --keep-within) does, so that a pause in the
        backups ages nothing away. V(0) leaves the rule out.
    type: str
    default: "0"
  keep_tags:
    description:
      - Keep what was tagged so when it was made (O(miniecom.maintenance.mongo_backup#module:tags)), as C(restic forget --keep-tag) does. An entry
        with commas wants all of its tags.
      - It only ever keeps more. Without another rule nothing is removed.
    type: list
    elements: str
    default: []
"""
