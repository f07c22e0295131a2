# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a recovery was fast enough, and its data young enough. Pure."""

from __future__ import annotations

from typing import List, Optional

from .._core.late_dataclass import dataclass
from .._core.units import format_duration


@dataclass(frozen=True)
class Targets:
    """What a recovery is measured by; None sets no target. In seconds.

    Attributes:
        recovery: the time to recover (RTO), from the beginning of the fetch to the API's first good answer.
        age: the age of the data (RPO), which is what would be lost.
    """

    recovery: Optional[float] = None
    age: Optional[float] = None

    def missed(self, recovery: float, age: float) -> List[str]:
        """Which targets are missed, a sentence each."""
        lines = []
        if self.recovery is not None and recovery > self.recovery:
            lines.append(
                "it took %s, and %s are allowed (max_recovery_time)"
                % (format_duration(recovery), format_duration(self.recovery))
            )
        if self.age is not None and age > self.age:
            lines.append(
                "the data is %s old, and %s are allowed (max_data_age)"
                % (format_duration(age), format_duration(self.age))
            )
        return lines
