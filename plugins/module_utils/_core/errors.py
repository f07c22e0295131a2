# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one exception that modules raise for what a person can act on."""

from __future__ import annotations

from typing import Any, Mapping


class MaintenanceError(Exception):
    """Something failed that the user should read about in one clear message.

    Args:
        what: what failed, as a sentence fragment ("cannot compact the collection").
        target: the object it failed on (a path, a namespace, a container name).
        code: the server's own error code or code name, an errno name, an HTTP status.
        next_step: what the reader should do now, as a full sentence.
        details: further return values for the module result; never secrets.
    """

    def __init__(
        self,
        what: str,
        target: str = "",
        code: Any = None,
        next_step: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.target = target
        self.code = code
        self.next_step = next_step
        self.details = dict(details or {})

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

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.details["insufficient_space"] = True


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


class SkipAction(Exception):
    """Raised by an action whose precondition no longer holds: the world changed since planning.

    The reason is reported and nothing is forced.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
