# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends a task with the result that its call has had already, in one process with others; see plugins/modules/several.py.

The action plugins of the modules that can be called several at a time are this one (a redirection in meta/runtime.yml would be taken for another
name of the modules by ansible-lint). Without a result the module is called as ever, and watched while it works. Controller side.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Dict, Iterator, Mapping, Optional

from ansible.plugins.action import ActionBase

from .watching import WatchedModule


class ActionModule(WatchedModule):
    """A module's own task.

    To work out its options takes more than all else that a task does which only ends with a result, so those that come after `given` (Ansible sorts
    them) are left as they are written. ansible-core asks for that from 2.19 on, and calls its two methods experimental; one that does not
    know them works out all.
    """

    @classmethod
    @contextmanager
    def get_finalize_task_args_context(cls) -> Iterator[Dict[str, bool]]:
        """What the options of one task know of each other: whether a result was given."""
        yield {}

    @classmethod
    def finalize_task_arg(cls, name: str, value: Any, templar: Any, context: Any) -> Any:
        """The value of an option.

        Args:
            name: the option's.
            value: as it is written.
            templar: works it out.
            context: as `get_finalize_task_args_context` made it.

        Raises:
            AnsibleError: it cannot be worked out.
        """
        if context:
            return value
        found = templar.template(value)
        if name == "given" and isinstance(found, Mapping) and found:
            context[name] = True
        return found

    def run(self, tmp: Any = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        given = self._task.args.pop("given", None)
        result: Dict[str, Any]
        if not isinstance(given, Mapping) or not given:
            result = super().run(tmp, task_vars)
            return result
        result = ActionBase.run(self, tmp, task_vars)
        result.update(given, given=True)
        return result
