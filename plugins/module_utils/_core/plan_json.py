# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan as JSON, and back: what one call has decided can be shown, kept, and carried out by another."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple, Type, Union, get_type_hints

from .errors import MaintenanceError
from .plan import Action, Kept, Plan

_PLAIN = (str, int, float, bool, type(None))


def to_json(plan: Plan[Any]) -> str:
    """A plan as text. Works hold plain values, tuples, mappings with text keys, and dataclasses of these."""
    return json.dumps(
        {
            "actions": [dict(_fields(action), kind=type(action.work).__name__) for action in plan.actions],
            "kept": [kept.as_dict() for kept in plan.kept],
            "warnings": list(plan.warnings),
        },
        sort_keys=True,
    )


def from_json(text: str, works: Iterable[Type[Any]]) -> Plan[Any]:
    """The plan of a text that `to_json` has made.

    Args:
        works: the types of work that it may hold, as in the `handlers` of a task.

    Raises:
        MaintenanceError: it holds something else.
    """
    known = {work.__name__: work for work in works}
    try:
        found = json.loads(text)
        actions = []
        for entry in found["actions"]:
            work = _made(known[entry.pop("kind")], entry.pop("work"))
            actions.append(Action(work=work, **entry))
        kept = [Kept(entry["target"], entry["reason"]) for entry in found["kept"]]
        return Plan(actions, kept, [str(warning) for warning in found["warnings"]])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MaintenanceError("this is no plan that can be read", code=type(error).__name__) from error


def _fields(value: Any) -> Dict[str, Any]:
    return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if is_dataclass(value):
        return _fields(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(item) for item in value)
    raise TypeError("%s cannot be written into a plan" % type(value).__name__)


def _made(kind: Type[Any], values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    return kind(**{name: _value(hints[name], value) for name, value in values.items()})


def _value(hint: Any, value: Any) -> Any:
    """A value of the type that an annotation names."""
    if value is None:
        return None
    origin: Any = getattr(hint, "__origin__", None)
    arguments: Tuple[Any, ...] = getattr(hint, "__args__", ())
    if origin is Union:
        return _value(next(item for item in arguments if item is not type(None)), value)
    if isinstance(hint, type) and is_dataclass(hint):
        return _made(hint, value)
    if origin is tuple:
        return _tuple(arguments, value)
    if origin in (list, set, frozenset):
        return origin(_value(arguments[0], item) for item in value)
    if origin is not None and issubclass(origin, Mapping):
        return {key: _value(arguments[1], item) for key, item in value.items()}
    return hint(value) if hint in (float, int, str, bool) else value


def _tuple(arguments: Sequence[Any], value: List[Any]) -> Tuple[Any, ...]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_value(arguments[0], item) for item in value)
    return tuple(_value(kind, item) for kind, item in zip(arguments, value))
