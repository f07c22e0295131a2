# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls the module, and tells how far it has come. Documented in plugins/modules/npm_audit.py."""

from __future__ import annotations

from ..plugin_utils.watching import WatchedModule as ActionModule

__all__ = ["ActionModule"]
