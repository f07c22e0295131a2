# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends a run and shows what it did. Documented in plugins/modules/maintenance_report.py."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from typing import Any, Dict, List, Optional

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils._core.atomic_file import write_atomic
from ..module_utils._core.clock import utc_now
from ..plugin_utils.audience import paint, show, width
from ..plugin_utils.command_line import from_here, next_command
from ..plugin_utils.kept_records import file_name, outdated
from ..plugin_utils.known_names import known_variables, named_variable, prefix_of
from ..plugin_utils.lasting import passing
from ..plugin_utils.moments import local_moments
from ..plugin_utils.packed_modules import keep
from ..plugin_utils.report_selection import chosen_rows
from ..plugin_utils.step_report import collect, fold, found_lines, notable_findings, table, verdict, with_failures


def hang(text: str, columns: int) -> List[str]:
    """A line in lines of the terminal's width, below the column in which its second part stands."""
    begin = re.match(r"\S.*?\s{2,}(?=\S)", text)
    indent = min(len(begin[0]) if begin else 0, columns // 2)
    return fold(text[len(begin[0]) :] if begin else text, columns, begin[0] if begin else "", " " * indent) or [text]


class ActionModule(ActionBase):
    """One task on the controller: collect the steps, end the run on the host, keep a copy, print the summary."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        try:
            return self._report(tmp, task_vars)
        finally:
            keep(str(constants.DEFAULT_LOCAL_TMP))

    def _report(self, tmp: Any, task_vars: Optional[Dict[str, Any]]) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _unused, args = self.validate_argument_spec(
            argument_spec={
                "run_id": {"type": "str"},
                "name": {"type": "str", "default": "maintenance"},
                "steps": {"type": "list", "elements": "dict", "default": []},
                "failures": {"type": "list", "elements": "dict", "default": []},
                "findings": {"type": "str", "choices": ["notable", "all"], "default": "notable"},
                "select": {"type": "str", "default": ""},
                "lines": {"type": "list", "elements": "str"},
                "directory": {"type": "path"},
                "keep": {"type": "int", "default": 400},
                "state_dir": {"type": "path"},
                "log_path": {"type": "path"},
            },
            mutually_exclusive=[("lines", "run_id")],
            required_one_of=[("lines", "run_id")],
        )
        if args["lines"] is not None:
            columns = width()
            read = [local_moments(text, utc_now()) for text in args["lines"]]
            show("\n".join(line for text in read for line in hang(text, columns)))
            result.update(changed=False, lines=args["lines"])
            return result
        check = bool(self._task.check_mode)
        host = str(variables.get("inventory_hostname", "localhost"))
        # A play before this one may have left failures of its own run.
        failures = [entry for entry in args["failures"] if entry.get("run_id") in (None, args["run_id"])]
        steps = with_failures(collect(args["steps"], variables, check), failures, args["steps"])
        names = known_variables()
        steps = [
            replace(
                step,
                headline=from_here(
                    named_variable(step.headline, prefix_of(step.variable, names.prefixes), variables, names), host
                ),
            )
            if step.status == "failed"
            else step
            for step in steps
        ]
        failed = [step.step for step in steps if step.status == "failed"]
        ended = self._end(args, steps, failed, variables)
        lost = not failed and (ended.get("record") or {}).get("status") == "failed"
        record = {
            "host": host,
            "run_id": args["run_id"],
            "name": args["name"],
            "check_mode": check,
            "status": "failed" if failed or lost or ended.get("failed") else "ok",
            "steps": [dict(step.as_dict(), found=dict(step.found)) for step in steps],
            "record": ended.get("record"),
        }
        told = verdict(steps, check)
        if lost:
            told = "; ".join(ended["record"].get("notes") or []) or "the host's record says that this run failed"
        # Nothing that a step did or could do; but who reads only one sentence must not miss it.
        risks = passing((variables.get("context_result") or {}).get("context") or {})
        told = "; ".join([told, *("AT RISK: " + risk for risk in risks)])
        footer = [told]
        copy = self._keep(args["directory"], host, args["run_id"], record, footer)
        if ended.get("record_path"):
            footer.append("record on the host:       " + ended["record_path"])
        if copy:
            footer.append("record on the controller: " + copy + ".json")
        if ended.get("log_path"):
            footer.append("maintenance log:          " + ended["log_path"])
        title = "%s of %s%s (%s)" % (
            args["name"],
            host,
            " - CHECK MODE, nothing was changed" if check else "",
            args["run_id"],
        )
        # All of it, uncut, is in the host's own record; check mode leaves none there.
        events = str(ended["record_path"]) + "l" if ended.get("record_path") else ""
        where = events or (copy + ".json" if copy else "-v shows the tasks' results")
        columns = width()
        footer[:1] = fold(local_moments(footer[0], utc_now()), columns)
        short = [step.as_dict() for step in steps]
        told_of = {
            "name": args["name"],
            "status": record["status"],
            "verdict": told,
            "steps": short,
            "findings": notable_findings(steps),
        }
        rows, choice = chosen_rows(steps, told_of, args["select"])
        footer[:0] = fold(choice, columns) if choice else []
        shown = [replace(step, headline=local_moments(step.headline, utc_now())) for step in rows]
        listed = next_command("waive", host)
        footer = found_lines(steps, args["findings"] == "all", where, listed, columns) + footer
        text = table(shown, title, footer, columns)
        if copy:
            self._write(copy + ".txt", text)
            self._prune(os.path.dirname(copy), host, args["keep"])
        if not show(text, table(shown, title, footer, columns, paint)):
            result["table"] = text.splitlines()
        result.update(
            told_of,
            changed=False,
            run_id=args["run_id"],
            failed_steps=failed,
            record_path=ended.get("record_path"),
            copy=copy + ".json" if copy else None,
            ansible_stats={
                "data": {
                    "miniecom_maintenance": {
                        host: dict({key: record[key] for key in ("run_id", "name", "status")}, steps=short)
                    }
                },
                "per_host": False,
                "aggregate": True,
            },
        )
        if ended.get("failed"):
            result.update(failed=True, msg="cannot end the run: %s" % ended.get("msg"))
        return result

    def _end(
        self, args: Dict[str, Any], steps: List[Any], failed: List[str], variables: Dict[str, Any]
    ) -> Dict[str, Any]:
        module_args = {
            "state": "ended",
            "run_id": args["run_id"],
            "name": args["name"],
            "status": "failed" if failed else "ok",
            "steps": [step.as_dict() for step in steps],
        }
        for option in ("state_dir", "log_path"):
            if args[option]:
                module_args[option] = args[option]
        ended: Dict[str, Any] = self._execute_module(
            module_name="miniecom.maintenance.maintenance_run", module_args=module_args, task_vars=variables
        )
        return ended

    def _keep(
        self, directory: Optional[str], host: str, run_id: str, record: Dict[str, Any], footer: List[str]
    ) -> Optional[str]:
        """Copy the record to the controller; a controller that cannot keep it does not fail the run, but is told so."""
        if not directory:
            return None
        name = file_name("%s_%s" % (host, run_id))
        path = os.path.join(os.path.abspath(os.path.expanduser(directory)), name)
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            self._write(path + ".json", json.dumps(record, indent=1, sort_keys=True, default=str) + "\n")
        except (OSError, AnsibleError) as error:
            footer.append("no copy on the controller: %s" % error)
            return None
        return path

    @staticmethod
    def _prune(directory: str, host: str, keep: int) -> None:
        """Remove the oldest records of a host. What cannot be removed stays for the next run."""
        for name in outdated(os.listdir(directory), host, keep):
            try:
                os.unlink(os.path.join(directory, name))
            except OSError:
                continue

    @staticmethod
    def _write(path: str, text: str) -> None:
        write_atomic(path, text.encode("utf-8"), 0o600)
