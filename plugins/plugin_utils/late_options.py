# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of a task that are filled in when its action plugin asks for them. Controller side.

Ansible fills in all templates of a task's options before it calls the action plugin, which takes as long as many a module: for nothing, where the plugin
ends the task without asking the host. Since ansible-core 2.19 it asks the plugin to fill in each of them. It calls that experimental; where it does not
ask, as in 2.18, all are filled in already.
"""

from __future__ import annotations

from typing import Any, FrozenSet

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase


class Later:
    """An option as it was written."""

    def __init__(self, written: Any) -> None:
        self.written = written


class LateOptions(ActionBase):
    """Of an action plugin whose task may end before its options matter.

    ``FIRST`` are those that decide whether they do: they are filled in as ever. The plugin calls `fill_in` before it reads any other.
    """

    FIRST: FrozenSet[str] = frozenset()

    @classmethod
    def finalize_task_arg(cls, name: str, value: Any, *others: Any, **named: Any) -> Any:
        """Called by Ansible for each option."""
        return super().finalize_task_arg(name, value, *others, **named) if name in cls.FIRST else Later(value)

    def leave_out(self) -> None:
        """Drop what was not filled in: the task ends without it, and callbacks that write down its options would meet it."""
        self._task.args = {name: value for name, value in self._task.args.items() if not isinstance(value, Later)}

    def fill_in(self) -> None:
        """Fill in what was left.

        Raises:
            AnsibleError: a template cannot be filled in; it names the option.
        """
        options = {}
        for name, value in self._task.args.items():
            if isinstance(value, Later):
                try:
                    # As a part of something, for what is to be omitted is left out of that.
                    options.update(self._templar.template({name: value.written}))
                except AnsibleError as error:
                    raise AnsibleError("Error while resolving value for %r." % str(name)) from error
            else:
                options[name] = value
        self._task.args = options
