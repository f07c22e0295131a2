# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of a user's own, and changes to ours, from the option `rules` of perm_audit. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Dict, FrozenSet, Iterable, Mapping, Optional, Set, Tuple

from ansible.module_utils.parsing.convert_bool import boolean

from .._core.errors import MaintenanceError
from .._core.finding import SEVERITIES
from .permission_rules import CLASSES, DIRECTORY, FILE, RULES, Rule, RuleSet, current_names

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}\Z")
_OCTAL = re.compile(r"0?[0-7]{1,4}\Z")
_TEXTS = ("severity", "title", "remediation")
_BITS = ("any_bits", "all_bits", "no_bits", "remove")
_LISTS = ("names", "paths", "owners", "about", "former")
_CHANGES = frozenset(("id", "enabled", "fix", "former")) | frozenset(_TEXTS)
_KEYS = _CHANGES | frozenset(_BITS) | frozenset(_LISTS) | frozenset(("kind",))
_CONDITIONS = ("any_bits", "all_bits", "names", "paths", "owners", "about")


def rule_set(items: Optional[Iterable[Any]]) -> RuleSet:
    """The rules of an audit, as the option states them: names choose, mappings change a rule or add one.

    Args:
        items: names or ids of rules and mappings; None for our rules as they are.

    Raises:
        MaintenanceError: one names no rule, or cannot be understood.
    """
    rules: Dict[str, Rule] = dict(RULES)
    added: Set[str] = set()
    off: Set[str] = set()
    listed = None if items is None else list(items)
    for item in listed or ():
        if isinstance(item, str):
            continue
        rule, enabled, is_new = _defined(item, rules)
        rules[rule.name] = rule
        if is_new:
            added.add(rule.name)
        (off.discard if enabled else off.add)(rule.name)
    names = [item for item in listed or () if isinstance(item, str)]
    # Mappings alone leave all other rules on; an empty list always meant none.
    chosen = named_rules(rules, names, "rules") | frozenset(added) if names or listed == [] else frozenset(rules)
    return RuleSet(rules, chosen - off)


def named_rules(rules: Mapping[str, Rule], wanted: Iterable[str], option: str) -> FrozenSet[str]:
    """The names of rules that are named by id, name or former name.

    Raises:
        MaintenanceError: there is no such rule.
    """
    known = current_names(rules)
    unknown = sorted({str(name) for name in wanted} - set(known))
    if unknown:
        raise MaintenanceError(
            "no such rule in %s" % option,
            target=", ".join(unknown),
            next_step="The rules are: %s."
            % ", ".join(
                "%s (%s)" % (name, rules[name].id) if rules[name].id != name else name for name in sorted(rules)
            ),
        )
    return frozenset(known[str(name)] for name in wanted)


def _defined(item: Any, rules: Mapping[str, Rule]) -> Tuple[Rule, bool, bool]:
    """A rule as a mapping states it, whether it is on, and whether it is a new one."""
    if not isinstance(item, Mapping):
        raise _wrong(repr(item), "it is neither a name nor a mapping", "Write a name, or a mapping with an id.")
    label = str(item.get("id") or "")
    if not label:
        raise _wrong(repr(dict(item)), "it has no id", "Give it one: a name of letters, digits, dots and dashes.")
    foreign = sorted(str(key) for key in set(item) - _KEYS)
    if foreign:
        raise _wrong(label, "it has no %s" % ", ".join(foreign), "A rule may have: %s." % ", ".join(sorted(_KEYS)))
    current = current_names(rules).get(label)
    old = rules[current] if current else None
    values: Dict[str, Any] = {}
    for key in _TEXTS:
        if item.get(key) is not None:
            values[key] = str(item[key])
    if values.get("severity", "low") not in SEVERITIES:
        raise _wrong(label, "severity is %r" % values["severity"], "It is one of: %s." % ", ".join(SEVERITIES))
    for key in _BITS:
        if item.get(key) is not None:
            values[key] = _bits(label, key, item[key])
    for key in _LISTS:
        if item.get(key) is not None:
            values[key] = _texts(label, key, item[key])
    enabled = _flag(label, "enabled", item.get("enabled", True))
    if item.get("fix") is not None:
        values["default_fix"] = _flag(label, "fix", item["fix"])
    if old is not None and old.name in RULES:
        more = sorted(set(item) - _CHANGES)
        if more:
            raise _wrong(
                label,
                "%s of a rule of this collection cannot be changed" % ", ".join(more),
                "Switch it off (enabled: false) and add a rule of your own.",
            )
    rule = replace(old, **values) if old is not None else _new(label, item, values)
    if rule.default_fix and not rule.remove:
        raise _wrong(label, "a narrower mode does not mend it", "Leave fix out, or say which bits to remove.")
    return rule, enabled, old is None


def _new(label: str, item: Mapping[str, Any], values: Dict[str, Any]) -> Rule:
    if not _NAME.match(label) or label.upper().startswith("MPA-"):
        raise _wrong(
            label,
            "no rule has this id, and a new one cannot have it",
            "Use letters, digits, dots and dashes, not MPA-.",
        )
    kind = str(item.get("kind") or FILE)
    if kind not in (FILE, DIRECTORY):
        raise _wrong(label, "kind is %r" % kind, "It is file or directory.")
    if not values.get("title"):
        raise _wrong(label, "it has no title", "Say in a sentence why it is wrong.")
    foreign = sorted(set(values.get("about", ())) - set(CLASSES))
    if foreign:
        raise _wrong(label, "about has no %s" % ", ".join(foreign), "It may have: %s." % ", ".join(CLASSES))
    if not any(values.get(key) for key in _CONDITIONS):
        raise _wrong(label, "it would be broken by everything", "Give it one of: %s." % ", ".join(_CONDITIONS))
    values = {"severity": "medium", "remediation": "Mend it, or waive it.", **values}
    return Rule(id=label, name=label, kind=kind, **values)


def _bits(label: str, key: str, value: Any) -> int:
    # YAML reads 0007 as a number of its own choosing, so that 0755 may come as 493 or as 755.
    if not isinstance(value, str) or not _OCTAL.match(value):
        raise _wrong(
            label, "%s is %r" % (key, value), "Write permission bits as an octal number in quotes, as in '0022'."
        )
    return int(value, 8)


def _texts(label: str, key: str, value: Any) -> Tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, (str, int)) and str(text) for text in value):
        raise _wrong(label, "%s is %r" % (key, value), "Write a list of words.")
    return tuple(str(text) for text in value)


def _flag(label: str, key: str, value: Any) -> bool:
    try:
        return bool(boolean(value))
    except TypeError as error:
        raise _wrong(label, "%s is %r" % (key, value), "It is true or false.") from error


def _wrong(label: str, what: str, next_step: str) -> MaintenanceError:
    return MaintenanceError("a rule cannot be understood: %s" % what, target="rules, %s" % label, next_step=next_step)
