# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks a host's variables before anything is done there. Documented in plugins/modules/variables_info.py."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils.audience import paint, show, width
from ..plugin_utils.known_names import OWN_VARIABLES, SHARED, known_variables, misspelt_variables, prefix_of
from ..plugin_utils.role_arguments import argument_problems, entry_points, specifications
from ..plugin_utils.step_report import Step, table


class ActionModule(ActionBase):
    """What was given to the roles of this play, compared with what they take."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _unused, args = self.validate_argument_spec(
            argument_spec={
                "run_name": {"type": "str"},
                "own": {"type": "list", "elements": "str", "default": []},
                "conditional": {"type": "list", "elements": "str", "default": []},
            }
        )
        names = known_variables()
        problems = misspelt_variables(map(str, variables), names, args["own"])
        if problems:
            problems.append("A variable of your own can be let through by %s." % OWN_VARIABLES)
        problems += [
            message if message.endswith(".") else message + "."
            for message in argument_problems(
                specifications(entry_points(self._roles())),
                variables,
                self._templar.template,
                later={name for name in names.results - names.options if prefix_of(name.lstrip("_"), names.prefixes)},
                shared={name for name in names.options if name.startswith(SHARED + "_")},
                conditional=args["conditional"],
            )
        ]
        if problems:
            if args["run_name"]:
                # No run has begun, and no report follows: the table is shown here.
                title = "%s of %s" % (args["run_name"], variables.get("inventory_hostname", "localhost"))
                rows, columns = [Step("variables", "failed", " ".join(problems))], width()
                show(table(rows, title, (), columns), table(rows, title, (), columns, paint))
            return dict(result, failed=True, msg=" ".join(problems), problems=problems)
        return dict(result, changed=False, problems=[])

    def _roles(self) -> List[Any]:
        """Those that the play has imported. Each is known once the playbook was read, whatever tags were asked for."""
        part: Any = self._task
        while part is not None:
            if getattr(part, "_play", None) is not None:
                return list(part._play.roles)
            part = getattr(part, "_parent", None)
        raise AnsibleActionFail("This Ansible does not tell which roles the play has.")
