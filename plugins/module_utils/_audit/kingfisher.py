# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs Kingfisher, MongoDB's scanner for secrets, and turns what it prints into findings without secrets.

What it prints holds the secrets: it is read through a pipe, never written anywhere, and only a keyed fingerprint of each
secret leaves the process. Kingfisher is kept from trying the secrets on the network and from looking for updates.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError, MissingLibrary
from .._core.finding import Finding, printable
from .._core.private_dir import private_directory
from .permission_rules import env_file, secret_file
from .secret_rules import FALLBACK, QUOTED, RULES_YAML, SHELL_DEFAULT, UNQUOTED
from .walker import _matcher

PACKAGE = "kingfisher-bin"
CACHE_NAME = "kingfisher"
MAX_FILE_MEGABYTES = 10
EXIT_CLEAN, EXIT_FINDINGS = 0, 200


@dataclass(frozen=True)
class Match:
    """One match of a rule. The value is a secret: it must not leave this process."""

    rule: str
    path: str
    line: int
    value: str

    def __repr__(self) -> str:
        return "Match(%s, %s, %d)" % (self.rule, self.path, self.line)


@dataclass
class Scan:
    """What a scan came to."""

    matches: List[Match] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    incomplete: int = 0


def find_program(wanted: Optional[str]) -> str:
    """The program: the one named, or that of the package beside the interpreter of this module, or one on the PATH.

    Raises:
        MaintenanceError: the one named cannot be run.
        MissingLibrary: there is none.
    """
    if wanted:
        if os.path.isfile(wanted) and os.access(wanted, os.X_OK):
            return wanted
        raise MaintenanceError(
            "the Kingfisher program cannot be run", wanted, next_step="Correct the option kingfisher, or leave it out."
        )
    candidates = [
        os.path.join(path, "kingfisher", "bin", "kingfisher") for path in sys.path if path.endswith("-packages")
    ]
    candidates.append(os.path.join(os.path.dirname(sys.executable), "kingfisher"))
    for candidate in candidates:
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    found = shutil.which("kingfisher")
    if found:
        return found
    raise MissingLibrary(PACKAGE)


def command(program: str, rules_path: str, paths: Sequence[str], exclude: Sequence[str]) -> List[str]:
    """The command line. It holds no secret."""
    line = [
        program,
        "scan",
        "--quiet",
        "--format",
        "jsonl",
        # Never try a secret on the network, never look for updates, never read the history of a repository.
        "--no-validate",
        "--no-update-check",
        "--git-history",
        "none",
        # Unpacking would write the content of archives, backups among them, to disk.
        "--no-extract-archives",
        # What may stand is said in waivers, with a reason and an expiry, not by a comment in the code.
        "--no-ignore",
        "--no-dedup",
        "--max-file-size",
        str(MAX_FILE_MEGABYTES),
        "--rules-path",
        rules_path,
    ]
    for pattern in exclude:
        line += ["--exclude", pattern]
    return line + ["--"] + list(paths)


def scan(
    program: str, paths: Sequence[str], exclude: Sequence[str], cache: str, workspace: str, timeout: float
) -> Scan:
    """Scan the paths.

    Args:
        program: the Kingfisher program.
        paths: absolute paths.
        exclude: names or globs that are not entered.
        cache: directory for the compiled rules, used if it exists.
        workspace: an empty directory of this run's own; everything Kingfisher writes beside the cache goes there.
        timeout: seconds.

    Raises:
        MaintenanceError: it could not be run, failed, took too long, or printed something else than expected.
    """
    rules_path = os.path.join(workspace, "rules.yml")
    # A secret of our own must be found, or else the silence about others means nothing.
    probe_path, probe = os.path.join(workspace, "probe.conf"), "p" + secrets.token_hex(12)
    for path, text in ((rules_path, RULES_YAML), (probe_path, "PROBE_PASSWORD=%s\n" % probe)):
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(text)
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LANG": "C.UTF-8",
        "HOME": workspace,
        "TMPDIR": workspace,
        "KF_RULE_CACHE_DIR": cache,
        "NO_COLOR": "1",
    }
    try:
        process = subprocess.Popen(
            command(program, rules_path, list(paths) + [probe_path], exclude),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=workspace,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise MaintenanceError("cannot start Kingfisher", program, error.strerror) from error
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise MaintenanceError(
            "Kingfisher did not end within %d s" % timeout,
            ", ".join(paths),
            next_step="Exclude what holds no code (exclude), or raise timeout.",
        ) from error
    finally:
        if process.poll() is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.communicate()
    found, understood = parse(output)
    if process.returncode not in (EXIT_CLEAN, EXIT_FINDINGS):
        raise MaintenanceError(
            "Kingfisher failed",
            ", ".join(paths),
            "exit status %d" % process.returncode,
            "It said: %s" % complaint(errors.decode("utf-8", "replace"), found.matches),
        )
    proven = any(match.value == probe for match in found.matches)
    found.matches = [match for match in found.matches if match.value != probe]
    found.files = max(0, found.files - 1)
    if not understood or not proven:
        raise MaintenanceError(
            "Kingfisher did not report a secret that was put before it as a test, or its output was not understood",
            program,
            next_step="Its silence means nothing then. This collection is tested with %s 2.14.0: install that version."
            % PACKAGE,
        )
    return found


def parse(output: bytes) -> Tuple[Scan, bool]:
    """What Kingfisher printed as JSON lines, and whether all of it was understood. Pure."""
    result, understood = Scan(), True
    for line in output.splitlines():
        if not line.strip():
            continue
        try:
            entry = json.loads(line.decode("utf-8", "surrogateescape"))
            if "finding" in entry:
                found = entry["finding"]
                result.matches.append(
                    Match(str(entry["rule"]["id"]), str(found["path"]), int(found["line"]), str(found["snippet"]))
                )
            elif "audit" in entry:
                summary = entry["audit"].get("summary", {})
                result.incomplete += int(summary.get("scan_partial", 0)) + int(summary.get("scan_failed", 0))
                for repository in entry["audit"].get("repositories", []):
                    stats = repository.get("stats") or {}
                    result.files += int(stats.get("blobs_scanned", 0))
                    result.bytes += int(stats.get("bytes_scanned", 0))
        except (ValueError, KeyError, TypeError, AttributeError):
            understood = False
    return result, understood


def complaint(text: str, matches: Sequence[Match]) -> str:
    """The last line a person can use of what Kingfisher wrote to its standard error, without any secret. Pure."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"error|failed|cannot|denied", line, re.IGNORECASE)]
    answer = (telling or lines or ["nothing"])[0][:300]
    for match in sorted(matches, key=lambda item: -len(item.value)):
        if len(match.value) >= 4:
            answer = answer.replace(match.value, "********")
    return answer


# Passwords that everybody tries first, with separators taken out.
_WELL_KNOWN = frozenset(
    "changeme changeit changethis password passw0rd pass1234 password1 password123 admin admin123 administrator secret supersecret "
    "mysecret topsecret secret123 secretkey jwtsecret yoursecret yoursecretkey yourjwtsecret yoursupersecretkey yourpassword "
    "yourtoken yourapikey default root toor letmein qwerty 1234 12345 123456 1234567 12345678 123456789 test test123 testing "
    "guest demo example mongo mongodb miniecom placeholder replaceme replacethis todo dummy insecure devsecret "
    "developmentsecret".split()
)
_PLACEHOLDER = re.compile(
    r"(?i)change.?(me|this|it)|replace.?(me|this|with)|^your[-_. ]|placeholder|^<.*>$|^(x+|\*+|\.+)$"
)
_REFERENCE = re.compile(
    r"process\.env|import\.meta|\$\{|\$\(|\{\{|<%|^\$|^%\(|^ENC\[|^!vault|^vault:|os\.environ|getenv"
)
# Words of a user interface, routes, identifiers: letters with separators, one of the words being what the rule looks for.
_WORDS = re.compile(r"^[A-Za-z]+(?:[._:/-][A-Za-z]+)*$")
_KEYWORD = re.compile(r"(?i)passw|passphrase|pwd|secret|token|key|auth|login")
_LABEL = re.compile(r"^[A-Z][a-z]+$")
_PATH = re.compile(r"^(?:~|\.{1,2})?/[\w./@-]+$|^https?://[^@]*$")
_SAMPLE_FILE = re.compile(r"(?i)(\.(example|sample|template|dist|md|rst|adoc)$|/(docs?|examples?)/)")
_TEST_FILE = re.compile(
    r"(?i)(/(tests?|__tests__|__mocks__|spec|specs|fixtures|e2e|seeds?|seeders?)/|[._-](test|spec)\.[a-z]+$)"
)
_INTERFACE_FILE = re.compile(r"(?i)(/(locales?|i18n|lang|translations)/|\.min\.js$|/dist/|/build/)")
_UNQUOTED_FILE = re.compile(
    r"(?i)(\.(ya?ml|conf|cfg|ini|sh|bash|properties|toml|env|service|list|example|sample|template|dist)$|/dockerfile[^/]*$|/[^/.]+$|/\.[^/]+$)"
)

_MOVE = "Move it to .env (mode 0600) and read it from the environment; then change it, as everybody who has seen the file knows it."


@dataclass(frozen=True)
class Verdict:
    """What a match is: the rule of our finding, how severe, and what to tell."""

    rule: str
    severity: str
    message: str
    remediation: str


def classify(rule: str, path: str, value: str) -> Optional[Verdict]:
    """Whether a match is a finding. Pure.

    Args:
        rule: id of Kingfisher's or our rule.
        path: the file, absolute.
        value: what the rule captured.

    Returns:
        None when it is no secret: a reference to the environment, a label, a path; or it lies in an environment file,
        where secrets belong.
    """
    name = path.rpartition("/")[2]
    if env_file(name):
        return None
    if "private-key" in rule and (secret_file(name) or name.lower().endswith(".pem")):
        return None  # its place is a file of its own, whose mode perm_audit looks at
    value = value.strip()
    ours = rule in (QUOTED, FALLBACK, UNQUOTED, SHELL_DEFAULT)
    sample, test = bool(_SAMPLE_FILE.search(path)), bool(_TEST_FILE.search(path))
    bare = re.sub(r"[^a-z0-9]", "", value.lower())
    known = bare in _WELL_KNOWN or bool(_PLACEHOLDER.search(value))
    if ours:
        if len(value) < 4 or _REFERENCE.search(value):
            return None
        if rule == UNQUOTED and (not _UNQUOTED_FILE.search(path) or value.lower() in ("true", "false", "null", "none")):
            return None
        if rule in (QUOTED, UNQUOTED) and _PATH.match(value):
            return None
        if rule == QUOTED and _is_text(value, path, bare):
            return None
    if known:
        # A sample shows where a secret goes; elsewhere it is a lock whose key hangs beside it.
        if sample:
            return None
        return Verdict(
            "default-credentials",
            "medium" if test else "high",
            "a default password or key that everybody knows is set here",
            "Set a long random value in .env, let this file refer to it without a default, and change it in the service too.",
        )
    softer = "medium" if sample or test else "high"
    if rule == FALLBACK:
        return Verdict(
            "secret-fallback",
            softer,
            "when the environment variable is missing, a secret written into the code is used",
            "Let the program fail when the variable is missing; change the secret.",
        )
    if rule == SHELL_DEFAULT:
        return Verdict(
            "secret-fallback",
            softer,
            "when the variable is missing, a secret written into this file is used",
            "Write ${NAME:?must be set} in place of the default; change the secret.",
        )
    if ours:
        return Verdict("hard-coded-secret", softer, "a password, key or token is written into this file", _MOVE)
    short = rule.rpartition(".")[2] if "/" not in rule else rule.rpartition("/")[2]
    return Verdict(short, softer, "a secret is written into this file (%s)" % short.replace("-", " "), _MOVE)


def _is_text(value: str, path: str, bare: str) -> bool:
    """Whether a quoted value is a label, a message, a route or an identifier, not a secret."""
    if re.search(r"\s", value) or _INTERFACE_FILE.search(path) or value[0] in "^[(<#":
        return True
    if len(set(value)) == 1 or bare in ("password", "secret", "token"):
        return True
    if bare in _WELL_KNOWN:
        return False
    return bool(_LABEL.match(value)) or bool(_WORDS.match(value) and _KEYWORD.search(value))


def findings(matches: Sequence[Match], roots: Sequence[str], exclude: Sequence[str]) -> List[Finding]:
    """Findings, one for each secret in each file, with the first line it stands on. Pure.

    Args:
        matches: what Kingfisher found.
        roots: the scanned paths; each finding has the one it lies below as its scope.
        exclude: applied once more to the path below the root, as the patterns are meant.
    """
    excluded = _matcher(exclude)
    by_place: Dict[Tuple[str, str, str], List[Match]] = {}
    verdicts: Dict[Tuple[str, str, str], Verdict] = {}
    specific = {(match.path, match.line) for match in matches if not match.rule.startswith("miniecom.")}
    specific_values: Dict[Tuple[str, int], List[str]] = {}
    for match in matches:
        if not match.rule.startswith("miniecom."):
            specific_values.setdefault((match.path, match.line), []).append(match.value)
    for match in matches:
        place = (match.path, match.line)
        if match.rule.startswith("miniecom.") and place in specific:
            # A provider's rule has seen the same value and knows better what it is.
            if any(match.value in value or value in match.value for value in specific_values[place]):
                continue
        root = _root_of(match.path, roots)
        if excluded is not None and _below_excluded(match.path[len(root) :].strip("/"), excluded):
            continue
        verdict = classify(match.rule, match.path, match.value)
        if verdict is None:
            continue
        key = (verdict.rule, match.path, match.value)
        verdicts[key] = verdict
        by_place.setdefault(key, []).append(match)
    found = []
    for key, group in by_place.items():
        rule, path, value = key
        lines = sorted({match.line for match in group})
        verdict = verdicts[key]
        message = verdict.message
        if len(lines) > 1:
            message += "; also on line%s %s" % ("" if len(lines) == 2 else "s", ", ".join(str(n) for n in lines[1:6]))
        found.append(
            Finding(
                rule=rule,
                severity=verdict.severity,
                target=printable(path),
                message=message,
                remediation=verdict.remediation,
                line=lines[0],
                scope=_root_of(path, roots),
                subject=value,
            )
        )
    return found


def _root_of(path: str, roots: Sequence[str]) -> str:
    for root in roots:
        if path == root or path.startswith(root.rstrip("/") + "/"):
            return root
    return roots[0]


def _below_excluded(relative: str, excluded: Any) -> bool:
    parts = relative.split("/")
    return any(excluded(part, "/".join(parts[: index + 1])) for index, part in enumerate(parts))


def cache_for(state_dir: str, workspace: str, check: bool) -> str:
    """The directory of compiled rules; in check mode a copy, so that nothing on the host changes."""
    kept = os.path.join(state_dir, CACHE_NAME)
    if not check:
        return private_directory(state_dir, CACHE_NAME)
    copy = os.path.join(workspace, "cache")
    if os.path.isdir(kept):
        shutil.copytree(kept, copy)
    else:
        os.mkdir(copy)
    return copy


def make_workspace(parent: str) -> str:
    """An empty directory, readable by this user only."""
    return tempfile.mkdtemp(prefix="miniecom-scan-", dir=parent)
