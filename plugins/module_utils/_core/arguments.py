# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Argument specifications that can be added together."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

DEFAULT_STATE_DIR = "/var/lib/miniecom-maintenance"


class ArgumentSpec:
    """Options of a module with their constraints, as one value that can be merged with others.

    Args:
        argument_spec: option name to specification, as AnsibleModule takes it.
        required_if, required_one_of, mutually_exclusive, required_together, required_by: as AnsibleModule takes them.
    """

    def __init__(
        self,
        argument_spec: Mapping[str, Mapping[str, Any]],
        required_if: Sequence[Any] = (),
        required_one_of: Sequence[Any] = (),
        mutually_exclusive: Sequence[Any] = (),
        required_together: Sequence[Any] = (),
        required_by: Mapping[str, Any] | None = None,
    ) -> None:
        self.argument_spec: Dict[str, Dict[str, Any]] = {key: dict(value) for key, value in argument_spec.items()}
        self.required_if: List[Any] = list(required_if)
        self.required_one_of: List[Any] = list(required_one_of)
        self.mutually_exclusive: List[Any] = list(mutually_exclusive)
        self.required_together: List[Any] = list(required_together)
        self.required_by: Dict[str, Any] = dict(required_by or {})

    def __add__(self, other: ArgumentSpec) -> ArgumentSpec:
        twice = set(self.argument_spec) & set(other.argument_spec)
        if twice:
            raise ValueError("options defined twice: %s" % ", ".join(sorted(twice)))
        merged = dict(self.argument_spec)
        merged.update(other.argument_spec)
        required_by = dict(self.required_by)
        required_by.update(other.required_by)
        return ArgumentSpec(
            merged,
            self.required_if + other.required_if,
            self.required_one_of + other.required_one_of,
            self.mutually_exclusive + other.mutually_exclusive,
            self.required_together + other.required_together,
            required_by,
        )

    def module_arguments(self) -> Dict[str, Any]:
        """Keyword arguments for AnsibleModule."""
        return {
            "argument_spec": self.argument_spec,
            "required_if": self.required_if,
            "required_one_of": self.required_one_of,
            "mutually_exclusive": self.mutually_exclusive,
            "required_together": self.required_together,
            "required_by": self.required_by,
        }


RUN_ARGUMENTS = ArgumentSpec(
    {
        "run_id": {"type": "str"},
        "state_dir": {"type": "path", "default": DEFAULT_STATE_DIR},
    }
)

# For what may have been done in one process with others before its own task comes.
GIVEN_ARGUMENTS = ArgumentSpec({"given": {"type": "dict"}})
