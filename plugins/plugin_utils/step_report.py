# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the registered results of a run's steps to the table that a person reads. Pure, controller side."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from ..module_utils._core.finding import FIXED, KNOWN, NEW, SEVERITIES, WAIVED
from ..module_utils._core.units import counted, format_size
from .concise_text import VALIDATION, plain
from .mending_order import by_priority, mending_table

# Where there is no terminal.
WIDTH = 100
# A command that is offered, and all behind it: where it ends only a shell could tell.
COMMAND = re.compile(r"(?:\bansible(?:-playbook)?|\S+ -m pip download) .*-.*")
# Where less is left beside the numbers, what a step says stands below them.
BESIDE = 40
# Of a step that went well; the message of a failure is shown whole.
HEADLINE_LINES = 6
# How many findings of one step are printed when not all are wanted.
SHOWN = 20
# What the modules call the first audit of a place.
FIRST_AUDIT = ("set", "would be set")
Paint = Callable[[str, str], str]
# How the target of an audit's finding begins that is a container.
_CONTAINER = "container "


@dataclass(frozen=True)
class Step:
    """One row of the summary.

    Attributes:
        status: ok, changed, would (check mode, something would change), skipped or failed.
        headline: one sentence about what was done, found or went wrong.
        bytes: freed, written or looked at, as `effect` says; None where bytes mean nothing.
        seconds: duration of the module on the host; None where it is not known.
        findings: new findings; None where news is not told from what is known, or nothing could be audited.
        findings_total: all that was found, known and new; None for steps that look for nothing or could not.
        effect: what the bytes do to the disk: "freed", "written" or empty.
        found: what was found, as the record keeps it: findings, relations with orphans or malformed references, unused indexes,
            what was slow, counts of documents that are wrong. Not in as_dict.
        variable: the name under which its task registers, by which failures find it. Not in as_dict.
    """

    step: str
    status: str
    headline: str
    bytes: int | None = None
    seconds: float | None = None
    findings: int | None = None
    findings_total: int | None = None
    effect: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)
    variable: str = ""

    def as_dict(self) -> Dict[str, Any]:
        """The step in short, for results and statistics."""
        return {
            "step": self.step,
            "status": self.status,
            "headline": self.headline,
            "bytes": self.bytes,
            "seconds": self.seconds,
            "findings": self.findings,
            "findings_total": self.findings_total,
        }


def found_in(values: Mapping[str, Any]) -> Dict[str, Any]:
    """What a module found, beyond the numbers of its summary: the part of its result that the record keeps, whole. Pure.

    Args:
        values: what the module returns, or a task registered.
    """
    found: Dict[str, Any] = {}
    for key in ("findings", "resolved", "unused_indexes", "slow_operations"):
        if isinstance(values.get(key), (list, tuple)) and values[key]:
            found[key] = list(values[key])
    relations = values.get("relations")
    if isinstance(relations, (list, tuple)):
        for key, number in (("relations", "orphans"), ("malformed_references", "malformed")):
            concerned = [item for item in relations if isinstance(item, Mapping) and item.get(number)]
            if concerned:
                found[key] = concerned
    wrong = _wrong_counts(values)
    if wrong:
        found["wrong_counts"] = wrong
    if values.get("undo_id"):
        found["undo_id"] = values["undo_id"]
    baseline = values.get("baseline")
    if found.get("findings") and isinstance(baseline, Mapping) and baseline.get("state"):
        found["baseline"] = baseline["state"]
    return found


def _wrong_counts(values: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """The collections whose statistics are wrong, each with both numbers where the list of collections reaches that far."""
    names, collections = values.get("wrong_counts"), values.get("collections")
    if not isinstance(names, (list, tuple)):
        return []
    known = {
        "%s.%s" % (item.get("database"), item.get("name")): item
        for item in (collections if isinstance(collections, (list, tuple)) else ())
        if isinstance(item, Mapping)
    }
    return [
        dict(
            {key: known.get(str(name), {}).get(key) for key in ("documents", "documents_counted")}, collection=str(name)
        )
        for name in names
    ]


def _number(value: Any, kind: type) -> Any:
    try:
        return None if value is None else kind(value)
    except (TypeError, ValueError):
        return None


def step_of(name: str, result: Mapping[str, Any], check: bool) -> Step:
    """The row for one registered result.

    Args:
        name: the step's title.
        result: what the task registered. A step that was deliberately left out registers ``skipped`` with a ``reason``.
        check: the run is in check mode.
    """
    if isinstance(result.get("results"), (list, tuple)):
        return _looped(name, result, check)
    summary = result.get("summary")
    summary = summary if isinstance(summary, Mapping) else {}
    headline = str(summary.get("headline") or "")
    if result.get("unreachable"):
        status, headline = "failed", "unreachable: " + str(result.get("msg", ""))
    elif result.get("failed"):
        status, headline = "failed", str(result.get("msg") or headline or "failed without a message")
    elif isinstance(result.get("unsettled"), (list, tuple)) and result["unsettled"]:
        # Nothing that this run did wrong, and nobody may miss it.
        status, headline = "failed", "; ".join(str(text) for text in result["unsettled"])
    elif result.get("skipped"):
        status, headline = "skipped", str(result.get("reason") or result.get("skip_reason") or "")
    elif result.get("changed"):
        status = "would" if check else "changed"
    elif _could_not_look(result):
        # Not ok: nobody knows.
        status = "skipped"
    else:
        status = "ok"
    if not headline and result.get("cleaned"):
        headline = "; ".join(str(text) for text in result["cleaned"])
    new, total = _findings(result, summary)
    return Step(
        name,
        status,
        " ".join(headline.split()),
        _number(summary.get("bytes"), int),
        _number(summary.get("seconds"), float),
        new,
        total,
        _effect(summary, status),
        found_in(result),
    )


def _could_not_look(result: Mapping[str, Any]) -> bool:
    """Whether a tool that an audit needs gave no answer."""
    audit = result.get("audit")
    return isinstance(audit, Mapping) and audit.get("available") is False


def _findings(result: Mapping[str, Any], summary: Mapping[str, Any]) -> Tuple[int | None, int | None]:
    """How many findings are new and how many there are; None where nobody looked."""
    if _could_not_look(result):
        return None, None
    # What stands beside each other in one summary is one total, and no baseline tells what of orphans and the like is new.
    for keys in (("findings_total",), ("orphans", "malformed"), ("unused_indexes", "wrong_counts")):
        counted = [_number(summary.get(key), int) for key in keys]
        if counted[0] is not None:
            return _number(summary.get("findings"), int), sum(number for number in counted if number)
    new = _number(summary.get("findings"), int)
    return new, new


def _effect(summary: Mapping[str, Any], status: str) -> str:
    """Modules that give back space say bytes_freed; one that changes something without saying so has written."""
    if "bytes_freed" in summary:
        return "freed"
    return "written" if status in ("changed", "would") else ""


# The worst of several results decides.
_WORST_FIRST = ("failed", "would", "changed", "ok", "skipped")


def _looped(name: str, result: Mapping[str, Any], check: bool) -> Step:
    """One row for a task with a loop."""
    steps = [step_of(name, item, check) for item in result["results"]]
    if not steps:
        return Step(name, "skipped", "nothing to do")

    def total(values: Sequence[Any]) -> Any:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    found: Dict[str, Any] = {}
    for step in steps:
        for key, value in step.found.items():
            if key == "baseline":
                found[key] = value
            else:
                found[key] = [*found.get(key, []), *(value if isinstance(value, (list, tuple)) else [value])]
    effects = {step.effect for step in steps if step.bytes}
    return Step(
        name,
        min((step.status for step in steps), key=_WORST_FIRST.index),
        "; ".join(step.headline for step in steps if step.headline),
        total([step.bytes for step in steps]),
        total([step.seconds for step in steps]),
        total([step.findings for step in steps]),
        total([step.findings_total for step in steps]),
        effects.pop() if len(effects) == 1 else "",
        found,
    )


def _not_asked_for(result: Mapping[str, Any]) -> bool:
    """Whether a condition kept the task from running and nobody gave a reason: what is not wanted is no step of this run."""
    items = result.get("results")
    if isinstance(items, (list, tuple)) and items:
        return all(isinstance(item, Mapping) and _not_asked_for(item) for item in items)
    if "cleaned" in result:
        # The beginning of a run; a step where it had something to clear away.
        return not (result.get("cleaned") or result.get("unsettled"))
    return bool(result.get("skipped")) and not result.get("reason") and items is None


def collect(wanted: Sequence[Mapping[str, str]], variables: Mapping[str, Any], check: bool) -> List[Step]:
    """The rows of all steps that ran or were deliberately left out.

    Args:
        wanted: in order, ``step`` (a title) and ``variable`` (the name under which its task registered).
        variables: the host's variables.
    """
    steps = []
    for entry in wanted:
        result = variables.get(entry["variable"])
        if isinstance(result, Mapping) and result and not _not_asked_for(result):
            steps.append(replace(step_of(entry["step"], result, check), variable=entry["variable"]))
    return told_once(steps)


def told_once(steps: Sequence[Step]) -> List[Step]:
    """The rows without what an audit of the same run tells as well. Pure.

    Some of what a first look at the host finds an audit finds too, and only an audit has a memory for it: it knows what is new,
    and waives. There a container's name says that it is one.
    """
    audited = {_mark(finding) for step in steps if "baseline" in step.found for finding in step.found["findings"]}
    rows = []
    for step in steps:
        findings = step.found.get("findings") or []
        own = findings if "baseline" in step.found else [one for one in findings if _mark(one) not in audited]
        if len(own) < len(findings):
            gone = len(findings) - len(own)
            found = {key: value for key, value in step.found.items() if key != "findings"}
            total = None if step.findings_total is None else max(0, step.findings_total - gone)
            step = replace(step, found=dict(found, findings=own) if own else found, findings_total=total)
        rows.append(step)
    return rows


def _mark(finding: Mapping[str, Any]) -> Tuple[str, str]:
    target = str(finding.get("target"))
    return str(finding.get("rule")), target[len(_CONTAINER) :] if target.startswith(_CONTAINER) else target


def with_failures(
    steps: Sequence[Step], failures: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, str]]
) -> List[Step]:
    """The rows, and those of failures that no registered result tells of: a role whose options are not valid never
    reaches the task that would register one, and a step of several tasks may fail in another one.

    A failure lands on the rows of its step that have no result: none of these did its work. With a result in each, the
    first of them becomes a failed row. What has no row of its own in `wanted` still gets one, at the end.

    Args:
        steps: as `collect` gives them.
        failures: in order, each with ``rows`` (variables of the step's rows), ``registered`` (the variable, or variables,
            that the failed task registers, if any), ``task`` and ``message``.
        wanted: as for `collect`.
    """
    titles = {entry["variable"]: entry["step"] for entry in wanted}
    rows = list(steps)
    for failure in failures:
        own = failure.get("registered") or ()
        own = (own,) if isinstance(own, str) else tuple(own)
        if any(row.status == "failed" and row.variable in own for row in rows):
            continue
        task = str(failure.get("task") or "")
        told = str(failure.get("message") or "failed without a message")
        message = plain(told)
        if VALIDATION in told:
            # The variable is named; that Ansible has looked at it goes without saying.
            task = ""
        named = list(failure.get("rows") or ("run",))
        present = {row.variable for row in rows}
        missing = [variable for variable in named if variable not in present]
        for variable in missing:
            headline = "%s: %s" % (task, message) if task else message
            rows.append(Step(titles.get(variable, variable), "failed", headline, variable=variable))
        if not missing:
            place = next(number for number, row in enumerate(rows) if row.variable == named[0])
            if rows[place].status != "failed":
                rows[place] = replace(rows[place], status="failed", headline=message)
    places = {variable: place for place, variable in enumerate(titles)}
    return sorted(rows, key=lambda row: places.get(row.variable, len(places)))


def _cells(step: Step) -> List[str]:
    shown = {"would": "would change", "failed": "FAILED"}.get(step.status, step.status)
    sign = {"freed": "-", "written": "+"}.get(step.effect, "") if step.bytes else ""
    return [
        step.step,
        shown,
        "-" if step.bytes is None else sign + format_size(step.bytes),
        "-" if step.seconds is None else "%.1f" % step.seconds,
        "-" if step.findings_total is None else str(step.findings_total),
        "-" if step.findings is None else str(step.findings),
    ]


def fold(text: str, width: int, first: str = "", rest: str = "") -> List[str]:
    """A text in lines. Words are left whole, also those that are longer than a line, and so is a command with what follows it:
    people copy them, and the half of a command is one, too, such as a run on all hosts where the other half says --limit and --check.

    Args:
        width: of a line, what stands before the text included.
        first: what stands before the first line, `rest` before the others.
    """
    command = COMMAND.search(text)
    if command:
        if len(first + text) <= width:
            return [first + text]
        lines = fold(text[: command.start()], width, first, rest)
        return [*lines, (rest if lines else first) + text[command.start() :]]
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _headline(step: Step, width: int) -> List[str]:
    lines = fold(step.headline, width)
    if step.status != "failed" and len(lines) > HEADLINE_LINES:
        lines = lines[:HEADLINE_LINES] + fold("... (the whole sentence is in the record)", width)
    return lines


def _plain(text: str, _status: str) -> str:
    return text


def table(
    steps: Sequence[Step], title: str, footer: Sequence[str] = (), width: int = WIDTH, paint: Paint = _plain
) -> str:
    """The summary as text. A column without a value is left out; where little width is left for what a step says, that
    stands below its numbers.

    Args:
        footer: lines below it, as they are.
        width: of the terminal.
        paint: gives a text the colour of a status.
    """
    header = ["step", "result", "bytes", "seconds", "findings", "new"]
    rows = [_cells(step) for step in steps]
    told = [column for column in range(len(header)) if column < 2 or any(row[column] != "-" for row in rows)]
    widths = [max(len(row[column]) for row in [header] + rows) for column in range(len(header))]

    def line(cells: Sequence[str], status: str = "") -> str:
        shown = [
            cells[column].rjust(widths[column]) if column > 1 else cells[column].ljust(widths[column])
            for column in told
        ]
        if status:
            shown[1] = paint(shown[1], status)
        return "  ".join(shown)

    taken = sum(widths[column] + 2 for column in told)
    beside = width - taken >= BESIDE
    indent, room = (" " * taken, width - taken) if beside else (" " * 4, width - 4)
    rule = line(["-" * width_of for width_of in widths])
    lines = [*fold(title, width), "", line(header) + ("  what" if beside else ""), rule + ("  ----" if beside else "")]
    for step, cells in zip(steps, rows):
        words = _headline(step, room)
        begin = line(cells, step.status)
        if beside and words:
            begin += "  " + words.pop(0)
        lines.append(begin.rstrip())
        lines.extend(indent + text for text in words)
    if any(step.bytes and step.effect for step in steps):
        lines.append("bytes: + written, - freed")
    lines.append("")
    lines.extend(footer)
    return "\n".join(lines)


def notable(finding: Mapping[str, Any]) -> bool:
    """Whether a finding is shown in full even when not all are wanted: what is neither known nor waived."""
    return finding.get("status") not in (KNOWN, WAIVED)


def notable_findings(steps: Sequence[Step], most: int = 200) -> List[Dict[str, Any]]:
    """The findings of all steps that are neither waived nor both known and less than serious, each with its step, in the order in
    which to mend them. Pure."""
    found = [
        (item, step.step)
        for step in steps
        for item in step.found.get("findings", ())
        if isinstance(item, Mapping) and (notable(item) or _serious(item))
    ]
    return [
        dict({key: item.get(key) for key in ("id", "severity", "status", "target", "message")}, step=step)
        for item, step in sorted(found, key=lambda entry: by_priority(entry[0]))[:most]
    ]


def _serious(finding: Mapping[str, Any]) -> bool:
    return finding.get("status") != WAIVED and str(finding.get("severity")) in SEVERITIES[SEVERITIES.index("high") :]


def _by_severity(findings: Sequence[Mapping[str, Any]]) -> str:
    """Findings by number and severity, the worst first: "7 high, 1 low"."""
    numbers = [(sum(item.get("severity") == severity for item in findings), severity) for severity in SEVERITIES]
    return ", ".join("%d %s" % pair for pair in reversed(numbers) if pair[0])


def found_lines(steps: Sequence[Step], everything: bool, where: str, how: str = "", width: int = WIDTH) -> List[str]:
    """What the steps have found, for reading below the table: what nobody has seen in full, what is known as a number. Pure.

    Args:
        everything: all that is known here; otherwise what is notable, and of one step not more than SHOWN.
        where: where all of it lies.
        how: the command that lists what is known.
        width: of the terminal.
    """
    lines: List[str] = []
    to_mend: List[Tuple[str, Mapping[str, Any]]] = []
    for step in steps:
        findings = [item for item in step.found.get("findings", ()) if isinstance(item, Mapping)]
        # What was mended since the last audit, by whomever.
        gone = [item for item in step.found.get("resolved", ()) if isinstance(item, Mapping)]
        findings += [
            dict(item, status=FIXED, message=item.get("message") or "gone since the last audit") for item in gone
        ]
        # Where no baseline tells what is known, everything counts anew each time.
        audited = "baseline" in step.found
        whole = everything or not audited
        if audited:
            to_mend += [(step.step, item) for item in findings]
        chosen = [item for item in findings if whole or notable(item)]
        chosen.sort(key=lambda item: item.get("status") != NEW)
        remedies = _remedies(chosen, len(chosen) if everything else SHOWN)
        entries = [_finding_lines(item, remedy, width, audited) for item, remedy in zip(chosen, remedies)]
        entries += [
            fold(entry, width, " " * 4, " " * 8)
            for entry in (
                *_relation_entries(step),
                *_malformed_entries(step),
                *_count_entries(step),
                *_slow_entries(step),
                *("%s: an index that nobody used" % name for name in step.found.get("unused_indexes", ())),
            )
        ]
        summed = [] if whole else _summed(findings, step)
        if not entries and not summed:
            continue
        shown = entries if everything else entries[:SHOWN]
        lines.append("  " + step.step)
        lines.extend(line for entry in shown for line in entry)
        if len(entries) > len(shown):
            lines.append("    ... and %d more of these" % (len(entries) - len(shown)))
        lines.extend(line for entry in summed for line in fold(entry, width, " " * 4, " " * 8))
    if not lines:
        return []
    end = ["All of them, with what to do about each: %s" % where]
    if how and not everything:
        end.append("List those that are not shown: %s" % how)
    order = mending_table(to_mend) if everything else []
    return [
        *order,
        *([""] if order else []),
        "Findings:",
        *lines,
        *(line for text in end for line in fold(text, width, "  ", " " * 4)),
        "",
    ]


def _summed(findings: Sequence[Mapping[str, Any]], step: Step) -> List[str]:
    """What is not shown in full, as numbers."""
    known = [item for item in findings if item.get("status") == KNOWN]
    waived = sum(item.get("status") == WAIVED for item in findings)
    lines = []
    if known and step.found.get("baseline") in FIRST_AUDIT:
        lines.append(
            "baseline: %s (%s); %s will not fail later runs"
            % (counted(len(known), "finding"), _by_severity(known), "it" if len(known) == 1 else "they")
        )
    elif known:
        lines.append("%s known (%s)" % (len(known), _by_severity(known)))
    if waived:
        lines.append("%d waived" % waived)
    return lines


def _remedies(findings: Sequence[Mapping[str, Any]], shown: int) -> List[str]:
    """What to do about each; of several in a row about which the same is to be done, the last tells it for all.

    Args:
        shown: how many are shown: what they need must not stand below one that is not.
    """
    remedies = [
        " ".join(str(item.get("remediation") or "").split()) if item.get("status") != FIXED else "" for item in findings
    ]
    told, same = [], 0
    for number, remedy in enumerate(remedies):
        same += 1
        following = remedies[number + 1] if number + 1 < min(shown, len(remedies)) else None
        told.append(
            "" if following == remedy else "for these %d: %s" % (same, remedy) if remedy and same > 1 else remedy
        )
        same = same if following == remedy else 0
    return told


def _finding_lines(item: Mapping[str, Any], remedy: str, width: int, audited: bool) -> List[str]:
    """A finding with what to do about it."""
    text = "%-8s  %s%s%s: %s [%s]" % (
        item.get("severity"),
        "%-6s  " % item.get("status") if audited or item.get("status") == FIXED else "",
        item.get("target"),
        ":%s" % item["line"] if item.get("line") else "",
        " ".join(str(item.get("message")).split()),
        item.get("id"),
    )
    lines = fold(text, width, " " * 4, " " * 8)
    return lines + (fold("-> " + remedy, width, " " * 8, " " * 11) if remedy else [])


def _relation_entries(step: Step) -> List[str]:
    return [
        "%s -> %s: %s in %s%s"
        % (
            item.get("relation"),
            item.get("references"),
            counted(item.get("orphans") or 0, "orphan"),
            counted(item.get("documents") or 0, "document"),
            _such_as(item.get("samples")),
        )
        for item in step.found.get("relations", ())
    ]


def _malformed_entries(step: Step) -> List[str]:
    return [
        "%s -> %s: %s malformed reference%s, text that never was an id%s"
        % (
            item.get("relation"),
            item.get("references"),
            item.get("malformed"),
            "" if item.get("malformed") == 1 else "s",
            _such_as(item.get("malformed_samples"), " in "),
        )
        for item in step.found.get("malformed_references", ())
    ]


def _slow_entries(step: Step) -> List[str]:
    """What was slow, with the index that may help."""
    return [
        "%s%s" % (item.get("sentence"), "; %s" % item["advice"] if item.get("advice") else "")
        for item in step.found.get("slow_operations", ())
        if isinstance(item, Mapping)
    ]


def _such_as(samples: Any, where: str = " ") -> str:
    text = ", ".join(str(sample) for sample in samples or ())
    return " (such as%s%s)" % (where, text) if text else ""


def _count_entries(step: Step) -> List[str]:
    entries = []
    for item in step.found.get("wrong_counts", ()):
        counted = item.get("documents_counted")
        text = "%s: its count of documents is wrong, as after a killed server" % item["collection"]
        if counted is not None:
            text += ": the statistics say %s, counting finds %s" % (item["documents"], counted)
        # Measured: validate mends no count of a collection without documents.
        entries.append(text + "; validate mends it" + (" once there is a document again" if counted == 0 else ""))
    return entries


def verdict(steps: Sequence[Step], check: bool) -> str:
    """One sentence: how the run went."""
    failed = [step.step for step in steps if step.status == "failed"]
    skipped = sum(step.status == "skipped" for step in steps)
    changed = sum(step.status in ("changed", "would") for step in steps)
    if failed:
        return "%d of %s failed: %s" % (len(failed), counted(len(steps), "step"), ", ".join(failed))
    apart = "; %d skipped" % skipped if skipped else ""
    count = len(steps) - skipped
    if check:
        return "%d of %s would change something; nothing was changed%s" % (changed, counted(count, "step"), apart)
    if count == 1:
        return "the step ended well and changed %s%s" % ("something" if changed else "nothing", apart)
    return "all %d steps ended well, %d of them changed something%s" % (count, changed, apart)
