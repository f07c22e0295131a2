# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks a host whether it can be maintained. Documented in plugins/modules/host_ready_info.py."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Any, Dict, List, Optional, Tuple

import ansible
from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils import basic
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as core_version

from ..plugin_utils.audience import paint, show, width
from ..plugin_utils.command_line import command_on, next_command, same_command
from ..plugin_utils.first_contact import (
    OLDEST,
    Facts,
    Ways,
    become_problem,
    dotted,
    facts,
    pip_problem,
    probe,
    python_problem,
    venv_problem,
)
from ..plugin_utils.packed_modules import lay_out
from ..plugin_utils.step_report import Step, table

_ENVIRONMENT: Dict[str, Any] = {
    "mark": {"type": "str", "required": True},
    "python": {"type": "str", "required": True},
}


class ActionModule(ActionBase):
    """One look at the host through its shell, and one sentence about what is missing."""

    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _unused, args = self.validate_argument_spec(
            argument_spec={
                "run_name": {"type": "str"},
                "base_python": {"type": "str"},
                "environment": {"type": "dict", "options": _ENVIRONMENT},
                "pip": {"type": "dict"},
                "requirements": {"type": "str", "default": ""},
                "wheelhouse": {"type": "str", "default": ""},
            }
        )
        lay_out(
            str(constants.DEFAULT_LOCAL_TMP),
            os.path.join(str(constants.ANSIBLE_HOME), "miniecom_packed"),
            os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
            "%s %s" % (core_version, ansible.__file__),
        )
        host = str(variables.get("inventory_hostname", "localhost"))
        ways = self._ways(host)

        def failure(text: str) -> Dict[str, Any]:
            """Where no run has begun, no report follows: the table is shown here."""
            if args["run_name"]:
                rows, title, columns = [Step("host", "failed", text)], "%s of %s" % (args["run_name"], host), width()
                show(table(rows, title, (), columns), table(rows, title, (), columns, paint))
            return dict(result, failed=True, msg=text)

        oldest: Tuple[int, ...] = tuple(getattr(basic, "_PY_MIN", OLDEST))
        candidates, named = self._candidates(variables)
        base, asked = args["base_python"] or "", args["environment"]
        environment = (asked["mark"], asked["python"]) if asked else None
        try:
            answer = self._low_level_execute_command(probe(candidates, oldest, base, environment))
        except AnsibleConnectionFailure as error:
            problem = become_problem(str(error), ways)
            if not problem:
                raise
            return failure(problem)
        except AnsibleError as error:
            return failure(become_problem(str(error), ways) or str(error))
        said = "%s\n%s" % (answer.get("stderr", ""), answer.get("stdout", ""))
        if answer.get("rc"):
            text = " ".join(said.split()) or "it ended with %s" % answer["rc"]
            return failure(become_problem(said, ways) or "The shell of %s does not work: %s" % (host, text))
        found = facts(str(answer.get("stdout", "")))
        problem = python_problem(found, oldest, named, ways)
        if not problem and args["pip"]:
            problem = self._pip_problem(args, found, ways)
        elif not problem and base:
            problem = venv_problem(found, base, ways)
        if problem:
            return failure(problem)
        return dict(
            result,
            changed=False,
            python=found.pythons[0][0],
            version=dotted(found.pythons[0][1]),
            environment=found.environment,
        )

    @staticmethod
    def _pip_problem(args: Dict[str, Any], found: Facts, ways: Ways) -> str:
        if not args["pip"].get("rc"):
            return ""
        said = "%s\n%s" % (args["pip"].get("stdout") or "", args["pip"].get("stderr") or args["pip"].get("msg") or "")
        return pip_problem(said, found, args["requirements"], args["wheelhouse"], ways, sys.executable)

    def _candidates(self, variables: Dict[str, Any]) -> Tuple[List[str], str]:
        """The Pythons in the order in which Ansible looks for them, and the one that was named for it."""
        named = self._templar.template(
            variables.get("ansible_python_interpreter")
        ) or constants.config.get_config_value("INTERPRETER_PYTHON", variables=variables)
        fallback = [
            *map(str, constants.config.get_config_value("INTERPRETER_PYTHON_FALLBACK", variables=variables)),
            *("python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python3.9", "python3.8"),
        ]
        if not named or str(named).startswith("auto"):
            return list(dict.fromkeys(fallback)), ""
        return list(dict.fromkeys([str(named), *fallback])), str(named)

    def _ways(self, host: str) -> Ways:
        return Ways(
            host=host,
            user=str(self._get_remote_user() or self._play_context.remote_user or getpass.getuser()),
            core=".".join(core_version.split(".")[:2]),
            on_host=lambda text: command_on(host, text),
            again=lambda further: same_command(further, host),
            other=lambda playbook, further: next_command(playbook, host, further),
        )
