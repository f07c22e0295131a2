# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one exception that modules raise for what a person can act on."""

from __future__ import annotations

import errno
import os
from typing import Any, Mapping, Union

Code = Union[str, int, None]


class MaintenanceError(Exception):
    """Something failed that the user should read about in one clear message.

    Args:
        what: what failed, as a sentence fragment ("cannot compact the collection").
        target: the object it failed on (a path, a namespace, a container name).
        code: the server's own error code or code name, an errno name, an HTTP status.
        next_step: what the reader should do now, as a full sentence.
        details: further return values for the module result; never secrets.
    """

    # What each error of a kind says in the result, whoever raises it.
    told: Mapping[str, Any] = {}

    def __init__(
        self,
        what: str,
        *,
        target: str = "",
        code: Code = None,
        next_step: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.target = target
        self.code = code
        self.next_step = next_step
        self.details = dict(details or {}, **self.told)

    def __str__(self) -> str:
        text = self.what.rstrip(".")
        if self.target:
            text += ": " + self.target
        if self.code not in (None, ""):
            text += " (code %s)" % (self.code,)
        text += "."
        if self.next_step:
            text += " " + self.next_step
        return text


class InsufficientSpace(MaintenanceError):
    """There is no room on a file system: whoever can make some may try again. Told as `insufficient_space` in the result."""

    told = {"insufficient_space": True}


class MissingLibrary(MaintenanceError):
    """A Python package that the target lacks."""

    def __init__(self, package: str, reason: str = "") -> None:
        super().__init__(
            "the Python package %s is missing for the interpreter of this module" % package,
            code=reason or None,
            next_step="Run the role miniecom.maintenance.prerequisites, which installs it into the collection's own venv, "
            "or install it and set ansible_python_interpreter accordingly.",
        )
        self.package = package


class AbortPlan(MaintenanceError):
    """An action failed in a way that forbids all that come after it."""

    @classmethod
    def because_of(cls, error: MaintenanceError, *, next_step: str = "") -> AbortPlan:
        """The same error, which ends the plan.

        Args:
            next_step: in place of its own.
        """
        return cls(
            error.what,
            target=error.target,
            code=error.code,
            next_step=next_step or error.next_step,
            details=error.details,
        )


class SkipAction(Exception):
    """Raised by an action whose precondition no longer holds: the world changed since planning.

    The reason is reported and nothing is forced.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_MISSING = (errno.ENOENT, errno.ENOTDIR)
_STEPS = {
    errno.EROFS: "The file system is mounted read-only.",
    errno.ENOSPC: "Make room on the file system.",
    errno.EDQUOT: "Make room, or raise the quota.",
    errno.ENOENT: "It, or the directory it is to lie in, does not exist.",
    errno.ENOTDIR: "A part of the path is no directory.",
    errno.EISDIR: "It is a directory, where a file belongs.",
    errno.EIO: "Look at the kernel's log (dmesg) and at the disk.",
}


def errno_name(error: OSError) -> Code:
    """ENOENT and the like, as people look them up; the number where it has no name."""
    return errno.errorcode.get(error.errno or 0, error.errno)


def from_os_error(
    what: str,
    error: OSError,
    *,
    target: str = "",
    next_step: str = "",
    missing: str = "",
    forbidden: str = "",
    otherwise: str = "",
) -> MaintenanceError:
    """What the system refused, as one clear message.

    Args:
        what: what failed, as a sentence fragment.
        error: as the system reported it.
        target: the object; by default the path that the error names.
        next_step: what to do whatever the error is, in place of what its number tells.
        missing: what to do where the object, or a part of its path, does not exist.
        forbidden: who may, where this process may not; its user is named after it.
        otherwise: what to do where neither of these fits and the number says nothing that helps.
    """
    number = error.errno or 0
    if next_step:
        step = next_step
    elif number in _MISSING and missing:
        step = missing
    elif number == errno.EPERM and os.geteuid() == 0:
        # What root may not do is forbidden by the file, not by its owner.
        step = "It may be immutable (lsattr shows an i): chattr -i takes that away."
    elif number in _FORBIDDEN:
        step = (forbidden or "Run as its owner or as root (become: true).") + (
            " This process runs as uid %d." % os.geteuid()
        )
    else:
        step = _STEPS.get(number, otherwise)
    kind = InsufficientSpace if number in NO_ROOM else MaintenanceError
    return kind(what, target=target or str(error.filename or ""), code=errno_name(error), next_step=step)
