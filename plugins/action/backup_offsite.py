# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries backups over Ansible's own connection where the controller is the place. Documented in plugins/modules/backup_offsite.py."""

from __future__ import annotations

import base64
import binascii
import os
import shlex
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ..module_utils._backup.rotation import RETENTION_ARGUMENTS, retention_policy
from ..module_utils._core.clock import utc_now
from ..module_utils._core.errors import MaintenanceError
from ..module_utils._core.units import parse_size
from ..plugin_utils.copy_store import CopyStore
from ..plugin_utils.late_options import LateOptions
from ..plugin_utils.watching import WatchedModule

METHOD = "controller"
MODULE = "miniecom.maintenance.backup_offsite"
NO_PLACE = "no second place is configured: backups are lost with the host (backup_offsite_target)"
# Half an hour without a sign of life, and the next run takes the host over.
_RENEWAL_SECONDS = 5 * 60
_OPTIONS: Dict[str, Any] = {
    "action": {"type": "str", "default": "copy"},
    "path": {"type": "path"},
    "target": {"type": "path", "required": True},
    "owner": {"type": "str"},
    "database": {"type": "str"},
    "create": {"type": "bool", "default": False},
    "bandwidth": {"type": "str", "default": "0"},
    **RETENTION_ARGUMENTS.module_arguments()["argument_spec"],
}


class ActionModule(LateOptions, WatchedModule):
    """Other methods are the module's own affair. For this one it decides twice: before the transfer, and about what has come."""

    FIRST = frozenset(["action", "target"])

    def run(self, tmp: Any = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any]
        if self._task.args.get("target") == "" and self._task.args.get("action", "copy") == "copy":
            # Said without asking the host: most shops have none.
            self.leave_out()
            return dict(ActionBase.run(self, tmp, task_vars), skipped=True, reason=NO_PLACE)
        self.fill_in()
        if self._task.args.get("method") != METHOD:
            result = super().run(tmp, task_vars)
            return result
        ActionBase.run(self, tmp, task_vars)
        started = time.monotonic()
        variables = task_vars or {}
        try:
            if self._task.async_val:
                raise MaintenanceError(
                    "method: controller cannot be async", next_step="The task itself carries the data."
                )
            options = self._options()
            result = self._work(self._store(options, variables), options, variables)
        except MaintenanceError as error:
            return {"failed": True, "changed": False, "msg": str(error)}
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        if isinstance(result.get("summary"), dict):
            result["summary"]["seconds"] = round(time.monotonic() - started, 3)
        return result

    def _options(self) -> Dict[str, Any]:
        """Those of the options that matter here; what is wrong with the others the module says."""
        given = {key: value for key, value in self._task.args.items() if key in _OPTIONS}
        checked = ArgumentSpecValidator(_OPTIONS).validate(given)
        if checked.error_messages:
            raise MaintenanceError("; ".join(checked.error_messages), next_step="Correct the option.")
        found: Dict[str, Any] = checked.validated_parameters
        return found

    @staticmethod
    def _store(options: Mapping[str, Any], variables: Mapping[str, Any]) -> CopyStore:
        root = os.path.normpath(options["target"])
        if not os.path.isabs(root):
            raise MaintenanceError(
                "target is no absolute path",
                target=options["target"],
                next_step="Set it to a directory of the controller; each host has one of its own below it.",
            )
        owner = options["owner"] or str(variables.get("inventory_hostname", "localhost"))
        if owner in (".", ".."):
            raise MaintenanceError("owner is no name of a host", target=owner)
        store = CopyStore(root, owner)
        if options["action"] == "fetch" and not options["owner"] and not os.path.isdir(store.directory):
            # A new host in the place of a lost one has no copies of its own.
            return CopyStore(root)
        return store

    def _work(self, store: CopyStore, options: Mapping[str, Any], variables: Dict[str, Any]) -> Dict[str, Any]:
        fetching = options["action"] == "fetch"
        args = dict(self._task.args, target="%s:%s" % (METHOD, store.directory))
        if store.owner:
            args["owner"] = store.owner
        told = _told(store)
        check = bool(self._task.check_mode)
        assumed = args if check else dict(args, assume_verified=False)
        planned = self._call(dict(assumed, controller=told), variables, check=True)
        orders = planned.pop(METHOD, None) or {}
        if check or planned.get("unreachable"):
            return planned
        transfers = orders.get("transfers") or []
        if fetching:
            told.update(self._send(store, transfers))
            return self._decide(args, told, variables)[0]
        if transfers:
            store.make(options["create"])
        with store.locked():
            told = dict(_told(store), exists=told["exists"])
            told.update(self._fetch(store, transfers, options, variables))
            # What the first call refused the second refuses again, and notes it on the host.
            result, orders = self._decide(args, told, variables)
            self._carry_out(store, orders, told["received"], options, result)
        return result

    def _decide(
        self, args: Dict[str, Any], told: Dict[str, Any], variables: Dict[str, Any]
    ) -> Tuple[Dict[str, Any], Dict[str, Any]]:
        """The module's result, and what it leaves to be done here."""
        result = self._call(dict(args, controller=told), variables)
        return result, result.pop(METHOD, None) or {}

    def _call(self, args: Dict[str, Any], variables: Dict[str, Any], check: bool = False) -> Dict[str, Any]:
        before = self._task.check_mode
        self._task.check_mode = check or before
        try:
            result: Dict[str, Any] = self._execute_module(module_name=MODULE, module_args=args, task_vars=variables)
        finally:
            self._task.check_mode = before
        (result.get("invocation") or {}).get("module_args", {}).pop(METHOD, None)
        return result

    # --- from the host

    def _fetch(
        self,
        store: CopyStore,
        transfers: List[Dict[str, Any]],
        options: Mapping[str, Any],
        variables: Dict[str, Any],
    ) -> Dict[str, Dict[str, Any]]:
        """Bring what was planned; returns what has come (`received`) and what has not (`errors`), by name."""
        received: Dict[str, Any] = {}
        renewed = [time.monotonic()]
        limit = parse_size(options["bandwidth"])
        for transfer in transfers:
            name, path = str(transfer["name"]), str(transfer["path"])

            def read(offset: int, size: int, path: str = path) -> bytes:
                began = time.monotonic()
                if began - renewed[0] > _RENEWAL_SECONDS:
                    renewed[0] = began
                    self._renew(options, variables)
                data = self._read(path, offset, size)
                if limit:
                    time.sleep(max(0.0, len(data) / limit - (time.monotonic() - began)))
                return data

            try:
                if transfer["unnoted"]:
                    received[name] = store.look_at(name)
                else:
                    received[name] = store.receive(name, int(transfer["bytes"]), str(transfer["sha256"]), read)
            except (MaintenanceError, AnsibleError) as error:
                # Nothing after it is tried: the connection may be gone, or the disk full.
                return {"received": received, "errors": {name: str(error)}}
        return {"received": received, "errors": {}}

    def _read(self, path: str, offset: int, size: int) -> bytes:
        """A part of a file on the host, as the user that the task becomes.

        The connection's own way of fetching a file knows no such user, and Ansible's for that case takes the file into memory whole.
        """
        command = "tail -c +%d -- %s | head -c %d | base64 -w 0" % (offset + 1, shlex.quote(path), size)
        answer = self._low_level_execute_command(command)
        said = " ".join(str(answer.get("stderr", "")).split())
        try:
            data = base64.b64decode("".join(str(answer.get("stdout", "")).split()), validate=True)
        except binascii.Error:
            said, data = said or "what came is not what was asked for", b""
        if answer.get("rc") or (not data and said):
            raise MaintenanceError(
                "cannot read the backup on the host: %s" % (said or "it ended with %s" % answer.get("rc")), target=path
            )
        return data

    def _renew(self, options: Mapping[str, Any], variables: Dict[str, Any]) -> None:
        """Show the host a sign of life of the run; every module does, and this one only looks."""
        args = {key: self._task.args[key] for key in ("run_id", "state_dir") if self._task.args.get(key)}
        if "run_id" not in args:
            return
        looked = self._execute_module(
            module_name="miniecom.maintenance.backup_info",
            module_args=dict(args, path=options["path"]),
            task_vars=variables,
        )
        if looked.get("failed") or looked.get("unreachable"):
            raise MaintenanceError("the host does not go on with this run: %s" % looked.get("msg"))

    @staticmethod
    def _carry_out(
        store: CopyStore,
        orders: Mapping[str, Any],
        received: Mapping[str, Any],
        options: Mapping[str, Any],
        result: Dict[str, Any],
    ) -> None:
        """Note what the module has compared, and remove what it says no rule keeps, where that is so."""
        refused: List[str] = []
        try:
            for name, text in orders.get("notes", {}).items():
                store.note(name, text, received.get(name))
            keep = retention_policy(options)
            refused = store.remove(list(orders.get("remove", ())), keep, options["database"] or "", utc_now())
            store.tidy(list(orders.get("leftovers", ())))
        except MaintenanceError as error:
            result.update(failed=True, msg="; ".join(text for text in (result.get("msg"), str(error)) if text))
        if refused:
            result.setdefault("warnings", []).append(
                "the rules keep what the host wanted removed; it stays on the controller: %s" % ", ".join(refused)
            )

    # --- to the host

    def _send(self, store: CopyStore, transfers: List[Dict[str, Any]]) -> Dict[str, str]:
        """Put the one copy that is wanted where the module finds it; returns where."""
        for transfer in transfers[:1]:
            source = store.path_of(str(transfer["name"]), str(transfer["owner"]), str(transfer["sha256"]))
            directory = self._make_tmp_path()
            upload = self._connection._shell.join_path(directory, "backup")
            self._transfer_file(source, upload)
            self._fixup_perms2((directory, upload))
            return {"upload": upload}
        return {}


def _told(store: CopyStore) -> Dict[str, Any]:
    """What the module is told of the controller."""
    return {"exists": store.exists, "directories": store.stored()}
