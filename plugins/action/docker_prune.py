# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends the task with the result that it is given, or calls the module and tells how far it has come. Documented in plugins/modules/docker_prune.py."""

from __future__ import annotations

from ..plugin_utils.given import ActionModule

__all__ = ["ActionModule"]
