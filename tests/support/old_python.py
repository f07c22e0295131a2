# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The oldest Python that targets may have, with the last libraries that run on it."""

from __future__ import annotations

from pathlib import Path

from tests.support.pythons import PythonUnavailable, environment_of

__all__ = ["PACKAGES", "VERSION", "PythonUnavailable", "old_python"]

VERSION = "3.8"
# The last releases for Python 3.8.
PACKAGES = ("pymongo==4.10.1", "docker==7.2.0", "jmespath==1.0.1")


def old_python() -> Path:
    """The interpreter of a virtual environment with PACKAGES, made once in .cache."""
    return environment_of(VERSION, f"python{VERSION}", PACKAGES)
