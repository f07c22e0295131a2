# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether visitors are turned away, for what must not be done while they are in the shop."""

from __future__ import annotations

from typing import Any, Optional

from .._flag.flag_file import Note
from .._flag.nginx_layer import read_setup
from .._mongo.application_setting import read_setting
from .maintenance import observe_nginx
from .nginx_place import reached


def turns_visitors_away(state_dir: str, note: Optional[Note], database: Any) -> bool:
    """Whether the shop is closed, by nginx in front of it or by the application itself.

    Args:
        note: of maintenance that is up, if any.
        database: the application's, as the driver gives it.

    Raises:
        MaintenanceError: the server refuses, or what switches nginx cannot be looked at.
    """
    nginx = observe_nginx(reached(read_setup(state_dir)), note)
    return read_setting(database).enabled or (nginx is not None and nginx.closed and not nginx.problem)
