# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls of several modules in one process, one after another.

To start Python and to send and import what modules share costs more than many a module's work. Each call has its own options, its own lock, its
own entries in the record and its own result, as if it had been made by itself.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from . import CODE
from .arguments import ArgumentSpec
from .runner import Work, answered

Known = Callable[[str], Tuple[Work, ArgumentSpec]]


class _OneOfSeveral:
    """What stands for AnsibleModule in one of the calls."""

    def __init__(self, module: AnsibleModule, name: str, params: Dict[str, Any]) -> None:
        self._module = module
        self._name = name
        self._diff = module._diff
        self._verbosity = module._verbosity
        self.params = params
        self.check_mode = module.check_mode

    @property
    def tmpdir(self) -> str:
        return str(self._module.tmpdir)


def run_several(names: Sequence[str], known: Known) -> None:
    """Make the calls that the options name, from start to end; does not return.

    Args:
        names: modules that may be named.
        known: what such a module does, and its options.
    """
    call = {
        "module": {"type": "str", "required": True, "choices": list(names)},
        "options": {"type": "dict", "required": True},
    }
    spec = {
        "calls": {"type": "list", "elements": "dict", "required": True, "options": call},
        "common": {"type": "dict", "default": {}},
        "stop_on_failure": {"type": "bool", "default": False},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    results: Dict[str, Any] = {}
    try:
        results.update(_in_turn(module, known))
    finally:
        if CODE is not None and not module.check_mode:
            CODE.keep()
    module.exit_json(changed=any(result.get("changed") for result in results.values()), calls=results)


def _in_turn(module: AnsibleModule, known: Known) -> Dict[str, Dict[str, Any]]:
    results: Dict[str, Dict[str, Any]] = {}
    for call in module.params["calls"]:
        work, spec = known(call["module"])
        params = _valid(spec, dict(module.params["common"], **call["options"]))
        if params is None:
            if module.params["stop_on_failure"]:
                break
            continue
        result = answered(_OneOfSeveral(module, call["module"], params), work)
        results[call["module"]] = result
        if result.get("failed") and module.params["stop_on_failure"]:
            break
    return results


def _valid(spec: ArgumentSpec, options: Mapping[str, Any]) -> Any:
    """The options as the module itself would see them; None where it would refuse them, which is left to its own call."""
    arguments = spec.module_arguments()
    hidden = [name for name, option in arguments["argument_spec"].items() if option.get("no_log")]
    # Ansible hides such a value in what a module returns, and knows only the options of the module that it has called.
    if any(options.get(name) for name in hidden):
        return None
    checked = ArgumentSpecValidator(**arguments).validate(options)
    found: List[str] = checked.error_messages
    return None if found else checked.validated_parameters
