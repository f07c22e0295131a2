# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shop's settings that concern maintenance, each parsed by its kind. Pure.

What stands in an environment file is written by people, and what is made of it is read by programs that run as root: nothing of
it goes on as it stood there.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import Any, Callable, Dict, List, Mapping, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.units import parse_size


def _boolean(text: str) -> bool:
    plain = text.lower()
    if plain in ("1", "true", "yes", "on"):
        return True
    if plain in ("0", "false", "no", "off"):
        return False
    raise ValueError("neither true nor false")


def _count(text: str) -> int:
    if not re.match(r"^[0-9]{1,6}$", text):
        raise ValueError("not a sensible number")
    return int(text)


def _percentage(text: str) -> int:
    number = _count(text.rstrip("%").rstrip())
    if not 1 <= number <= 100:
        raise ValueError("not a percentage from 1 to 100")
    return number


def _size(text: str) -> int:
    """Bytes. The shop's scripts write 100M and mean powers of 1024; so does 100MB here, whose writer meant the same."""
    match = re.match(r"^([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(?:i?b)?$", text.strip().lower())
    if not match:
        raise ValueError("not a size")
    try:
        size = parse_size(match.group(1) + match.group(2).upper())
    except MaintenanceError:
        raise ValueError("not a size") from None
    if not 1 <= size < 1 << 50:
        raise ValueError("not a sensible size")
    return size


def _path(text: str) -> str:
    if not text.isprintable() or len(text) > 1024:
        raise ValueError("not a path: it holds control characters or is too long")
    return text


def _addresses(text: str) -> str:
    """Mail addresses, separated by commas or blanks."""
    found = [part for part in re.split(r"[,;\s]+", text) if part]
    if not found or not all(re.match(r"^[A-Za-z0-9.!#%&*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$", part) for part in found):
        raise ValueError("not a mail address")
    return ",".join(found)


def _host(text: str) -> str:
    if not re.match(r"^[A-Za-z0-9._:\[\]-]{1,255}$", text):
        raise ValueError("not the name or the address of a host")
    return text


def _port(text: str) -> int:
    number = _count(text)
    if not 1 <= number <= 65535:
        raise ValueError("not a port")
    return number


# Key -> the shop's documented default and how its value is read. Nothing else of an environment file is ever returned: which of
# the other keys hold secrets cannot be known.
SETTINGS: Mapping[str, Tuple[Any, Callable[[str], Any]]] = {
    "BACKUP_DIR": ("./storage/backups", _path),
    "ENCRYPT_BACKUP": (False, _boolean),
    "COMPRESS_BACKUP": (True, _boolean),
    "BACKUP_RETENTION_DAYS": (14, _count),
    "BACKUP_RETENTION_WEEKS": (12, _count),
    "BACKUP_RETENTION_MONTHS": (12, _count),
    "DISK_WARN_PCT": (80, _percentage),
    "DISK_CRITICAL_PCT": (90, _percentage),
    "LOG_RETENTION_DAYS": (30, _count),
    "MAX_LOG_SIZE": (100 * 1024 * 1024, _size),
    "ALERT_EMAIL": ("", _addresses),
    "SMTP_HOST": ("", _host),
    "SMTP_PORT": (0, _port),
    "UPDATE_IMAGES": (False, _boolean),
    "OFFSITE_ENABLED": (False, _boolean),
}


@dataclass(frozen=True)
class Settings:
    """Values by key, and a sentence for each that could not be read."""

    values: Dict[str, Any] = field(default_factory=dict)
    warnings: List[str] = field(default_factory=list)


def read_settings(env: Mapping[str, str]) -> Settings:
    """The maintenance settings of an environment file, the defaults where it says nothing or nothing sensible."""
    found = Settings()
    for key, (default, read) in SETTINGS.items():
        text = env.get(key, "").strip()
        found.values[key] = default
        if not text:
            continue
        try:
            found.values[key] = read(text)
        except ValueError as error:
            found.warnings.append(
                "%s of the environment file is %s; %s is used" % (key, error, default if default != "" else "none")
            )
    return found
