# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call of a module, as its code sees it: options in, and no way to say anything but by what it returns."""

from __future__ import annotations

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from .arguments import DEFAULT_STATE_DIR
from .run_context import RunContext


class Call:
    """One call of a module.

    Attributes:
        params: the options, parsed.
        check: check mode.
        run: the run that the call belongs to.
    """

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        # A copy: AnsibleModule returns its own as the invocation, and what is read to complete ours may be a secret.
        self.params: Dict[str, Any] = dict(module.params)
        self.check = bool(module.check_mode)
        name = str(getattr(module, "_name", "") or "")
        self.run = RunContext(
            module.params.get("run_id"),
            module.params.get("state_dir") or DEFAULT_STATE_DIR,
            self.check,
            name.rsplit(".", 1)[-1],
        )

    @property
    def tmpdir(self) -> str:
        """A directory for temporary files, made when it is first asked for and removed by Ansible."""
        return str(self._module.tmpdir)
