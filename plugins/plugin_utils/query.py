# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JMESPath over plain values. Controller side."""

from __future__ import annotations

from typing import Any, Mapping

from ansible.errors import AnsibleFilterError

try:
    import jmespath
    from jmespath.exceptions import JMESPathError
except ImportError:
    jmespath = None


def plain(value: Any) -> Any:
    """The same without whatever Ansible adds to values: text, numbers, lists and mappings as Python has them."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    # A date, for instance, which is no type of JSON.
    return str(value)


def select(value: Any, expression: str) -> Any:
    """What the expression chooses.

    Raises:
        AnsibleFilterError: the expression makes no sense, or the library is missing.
    """
    if jmespath is None:
        raise AnsibleFilterError("the Python package jmespath is missing on the controller: pip install jmespath")
    query = plain(expression)
    try:
        return jmespath.search(query, plain(value))
    except JMESPathError as error:
        # Its message shows the place on lines of their own.
        raise AnsibleFilterError("select: %r: %s" % (query, " ".join(str(error).split()))) from error
