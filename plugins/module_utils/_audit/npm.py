# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks npm about vulnerable and outdated packages, and tells an answer from a failure.

`npm audit --json` exits with 1 both when it found something and when it failed: only the keys of what it prints tell
them apart. A registry that does not offer audits must never pass for one that knows no vulnerabilities.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.finding import Finding, printable
from .._core.late_dataclass import dataclass
from .._core.redaction import SECRETS
from .external_program import run_program
from .npm_project import NpmProject

SEVERITY = {"info": "low", "low": "low", "moderate": "medium", "high": "high", "critical": "critical"}
_LONGEST_REASON = 300


@dataclass
class NpmAnswer:
    """What one npm command said.

    Attributes:
        available: it gave an answer; else reason says why not.
        data: the answer.
    """

    available: bool
    reason: str = ""
    data: Dict[str, Any] = field(default_factory=dict)


def find_npm(wanted: Optional[str]) -> Optional[str]:
    """The npm program, None when there is none.

    Raises:
        MaintenanceError: the one named in the options cannot be run.
    """
    if wanted:
        if os.path.isfile(wanted) and os.access(wanted, os.X_OK):
            return wanted
        raise MaintenanceError(
            "the npm program cannot be run", target=wanted, next_step="Correct the option npm, or leave it out."
        )
    return shutil.which("npm")


def npm_environment(base: Mapping[str, str], workspace: str) -> Dict[str, str]:
    """The environment of npm: the user's own configuration, but no scripts, and nothing written outside the workspace."""
    settings = {
        "cache": os.path.join(workspace, "cache"),
        "logs_max": "0",
        "update_notifier": "false",
        "fund": "false",
        "ignore_scripts": "true",
        "progress": "false",
        "color": "false",
        "fetch_retries": "1",
        "fetch_retry_mintimeout": "1000",
        "fetch_retry_maxtimeout": "5000",
        "fetch_timeout": "30000",
    }
    values = {key: value for key, value in base.items() if key in ("PATH", "HOME", "LANG", "HTTP_PROXY", "HTTPS_PROXY",
              "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "NODE_EXTRA_CA_CERTS") or key.lower().startswith("npm_config_")}  # fmt: skip
    for key, value in settings.items():
        for spelling in ("npm_config_" + key, "NPM_CONFIG_" + key.upper()):
            values.pop(spelling, None)
        values["npm_config_" + key] = value
    return values


def ask_npm(npm: str, arguments: Sequence[str], path: str, workspace: str, timeout: float) -> str:
    """What an npm command prints; its exit status says nothing that the text does not say better, unless it was killed:
    then what it had printed by then is no answer.

    Raises:
        MaintenanceError: it cannot be started, or takes too long.
    """
    completed = run_program(
        "npm " + arguments[0],
        [npm, *arguments],
        path,
        npm_environment(os.environ, workspace),
        timeout,
        path,
        "Check that the npm registry answers, or raise timeout.",
    )
    if completed.status < 0:
        return "npm was ended by signal %d" % -completed.status
    text = completed.output.decode("utf-8", "replace")
    return text if text.strip() else completed.errors.decode("utf-8", "replace")


def _short(text: str) -> str:
    return SECRETS.clean_text(re.sub(r"\s+", " ", text).strip())[:_LONGEST_REASON]


def _failure(data: Mapping[str, Any]) -> str:
    """Why npm failed, from the shapes in which it says so."""
    error = data.get("error")
    error = error if isinstance(error, Mapping) else {}
    parts = [str(error.get("code") or ""), str(data.get("statusCode") or ""), str(data.get("message") or "")]
    parts += [str(error.get("summary") or ""), str(error.get("detail") or "")]
    seen: List[str] = []
    for part in parts:
        part = part.strip()
        if part and not any(part in other for other in seen):
            seen.append(part)
    return _short("; ".join(seen)) or "npm gave no reason"


def _no_json(command: str, text: str) -> NpmAnswer:
    """No answer at all: where nothing is found, or nothing is outdated, npm says so in JSON."""
    return NpmAnswer(False, "%s printed no JSON: %s" % (command, _short(text) or "it printed nothing"))


def read_audit(text: str) -> NpmAnswer:
    """The answer of `npm audit --json`. Pure."""
    try:
        data = json.loads(text)
    except ValueError:
        return _no_json("npm audit", text)
    if not isinstance(data, dict):
        return NpmAnswer(False, "npm audit printed something unexpected")
    if data.get("auditReportVersion") == 2 and isinstance(data.get("vulnerabilities"), dict) and "error" not in data:
        return NpmAnswer(True, data=data)
    if "auditReportVersion" in data and "error" not in data:
        return NpmAnswer(False, "npm audit reports in version %s, which is not understood" % data["auditReportVersion"])
    return NpmAnswer(False, _failure(data))


def read_outdated(text: str) -> NpmAnswer:
    """The answer of `npm outdated --json`. Pure."""
    try:
        data = json.loads(text)
    except ValueError:
        return _no_json("npm outdated", text)
    if not isinstance(data, dict):
        return NpmAnswer(False, "npm outdated printed something unexpected")
    # A package may be called "error": its entry has a version, a failure has none.
    error = data.get("error")
    if isinstance(error, Mapping) and "latest" not in error and ("code" in error or "summary" in error):
        return NpmAnswer(False, _failure(data))
    return NpmAnswer(True, data=data)


def read_change(command: str, text: str) -> NpmAnswer:
    """The answer of a command that changes a lock file, as of `npm update --json`. Pure."""
    try:
        data = json.loads(text)
    except ValueError:
        return _no_json(command, text)
    if not isinstance(data, dict):
        return NpmAnswer(False, "%s printed something unexpected" % command)
    # Its exit status also tells of what an audit finds, its counts only of what it has done.
    return NpmAnswer(True, data=data) if "added" in data and "error" not in data else NpmAnswer(False, _failure(data))


def outdated_list(data: Mapping[str, Any], project: NpmProject) -> List[Dict[str, Any]]:
    """Outdated packages, major updates first. Pure.

    Args:
        data: what `npm outdated --json` says: for each key one entry, or a list where the project has several versions.
        project: what its files say. A package of its own is left out; the version of one that is not installed is that of
            the lock file, and without one the version that would be installed.
    """
    found: List[Dict[str, Any]] = []
    for key, entries in sorted(data.items()):
        name, package = package_names(str(key))
        if name in project.workspaces:
            continue
        for entry in entries if isinstance(entries, list) else [entries]:
            if not isinstance(entry, Mapping):
                continue
            item = _outdated(name, entry, project)
            if item is not None and package:
                item["package"] = printable(package)
            if item is not None and item not in found:
                found.append(item)
    order = {"major": 0, "minor": 1, "patch": 2, "none": 3, "unknown": 4}
    return sorted(found, key=lambda item: (order[str(item["update"])], str(item["name"])))


def package_names(key: str) -> Tuple[str, str]:
    """Name by which a project calls a package, and the name it is published under where that is another one. Pure.

    npm writes an alias as ``old-lodash:lodash@4.17.15``.
    """
    name, _colon, spec = key.partition(":")
    published = spec[: spec.index("@", 1)] if "@" in spec[1:] else spec
    return name, published


def _outdated(name: str, entry: Mapping[str, Any], project: NpmProject) -> Optional[Dict[str, Any]]:
    """A row of the list; None for what is only not installed."""
    installed, wanted, latest = (entry.get(field) or None for field in ("current", "wanted", "latest"))
    dependent = entry.get("dependent")
    dependent = dependent if isinstance(dependent, str) else ""
    current = installed or project.locked_version(name, dependent) or None
    update = update_kind(current or wanted, latest)
    if not installed and update == "none" and (current or wanted) == wanted:
        return None
    return {
        "name": printable(name),
        "current": current,
        "wanted": wanted,
        "latest": latest,
        "update": update,
        "dependent": printable(dependent),
    }


def update_kind(current: Any, latest: Any) -> str:
    """major, minor, patch, none or unknown: how far the latest version is from the one in use. Pure."""
    parsed = []
    for version in (current, latest):
        match = re.match(r"^(\d+)\.(\d+)\.(\d+)", str(version or ""))
        if not match:
            return "unknown"
        parsed.append(tuple(int(part) for part in match.groups()))
    (old, new) = parsed
    if new <= old:
        return "none"
    if new[0] != old[0]:
        return "major"
    return "minor" if new[1] != old[1] else "patch"


def vulnerabilities(data: Mapping[str, Any], path: str) -> List[Finding]:
    """One finding for each advisory on each package; packages that are only affected through others are told there. Pure.

    Args:
        data: a report of version 2.
        path: the project.
    """
    findings = []
    for name, entry in sorted(data["vulnerabilities"].items()):
        if not isinstance(entry, Mapping):
            continue
        for cause in _items(entry.get("via")):
            if not isinstance(cause, Mapping):
                continue  # a name: it has an entry, and a finding, of its own
            advisory = advisory_id(cause)
            title = _short(str(cause.get("title") or "known vulnerability"))
            affected = [str(effect) for effect in _items(entry.get("effects"))]
            message = "%s %s: %s" % (printable(str(name)), printable(str(cause.get("range") or "")), title)
            if affected:
                message += "; it comes in through %s" % ", ".join(sorted(affected)[:5])
            findings.append(
                Finding(
                    rule=advisory,
                    severity=SEVERITY.get(str(cause.get("severity") or entry.get("severity")), "high"),
                    target="npm:%s:%s" % (printable(path), printable(str(name))),
                    message=message,
                    remediation=remedy(entry.get("fixAvailable"), cause),
                    scope=path,
                    subject=str(cause.get("source") or ""),
                )
            )
    return findings


def _items(value: Any) -> List[Any]:
    return value if isinstance(value, list) else []


def npm_counts(data: Mapping[str, Any]) -> Dict[str, Any]:
    """npm's own numbers by severity, which count packages that are affected through others. Pure."""
    metadata = data.get("metadata")
    counts = metadata.get("vulnerabilities") if isinstance(metadata, Mapping) else None
    return dict(counts) if isinstance(counts, Mapping) else {}


def advisory_id(cause: Mapping[str, Any]) -> str:
    """The id of an advisory: GHSA-..., or npm's number. Pure."""
    match = re.search(r"GHSA(-[0-9a-z]{4}){3}", str(cause.get("url") or ""))
    if match:
        return match.group(0)
    return "npm-advisory-%s" % re.sub(r"[^\w.-]", "_", str(cause.get("source") or "unknown"))


def remedy(fix: Any, cause: Mapping[str, Any]) -> str:
    url = str(cause.get("url") or "")
    more = " See %s." % url if re.match(r"^https://[\w./-]+$", url) else ""
    if isinstance(fix, Mapping):
        kind = "a major update: read its release notes and test" if fix.get("isSemVerMajor") else "within its range"
        return "Update %s to %s (%s).%s" % (
            printable(str(fix.get("name"))),
            printable(str(fix.get("version"))),
            kind,
            more,
        )
    if fix:
        return "npm audit fix mends it without a major update.%s" % more
    return (
        "There is no fixed version yet; check whether the vulnerable part is used, and waive it with a date.%s" % more
    )
