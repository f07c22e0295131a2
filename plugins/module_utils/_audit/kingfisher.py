# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs Kingfisher, MongoDB's scanner for secrets.

Kingfisher is kept from trying the secrets on the network and from looking for updates. What it prints is read by
`kingfisher_output`, which is not loaded before it runs.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError, MissingLibrary, from_os_error
from .._core.late_dataclass import dataclass
from .._core.private_dir import private_directory
from .external_program import Running, running_program

PACKAGE = "kingfisher-bin"
# The one that the role prerequisites installs.
RELEASE = "2.14.0"
CACHE_NAME = "kingfisher"
# The kinds of machines for which the package index has a build that runs on Linux.
BUILT_FOR = ("x86_64", "aarch64")
MAX_FILE_MEGABYTES = 10
# Where secrets belong; their copies have other names and are read.
NEVER_SCANNED = (".env",)


@dataclass(frozen=True)
class Scanning:
    """A scan that is on its way.

    Attributes:
        program: the Kingfisher program.
        paths: what it looks at.
        probe: a secret of our own that it must find.
    """

    running: Running
    program: str
    paths: Tuple[str, ...]
    probe: str


def find_kingfisher(wanted: Optional[str]) -> str:
    """The program: the one named, or that of the package beside the interpreter of this module, or one on the PATH.

    Raises:
        MaintenanceError: the one named cannot be run.
        MissingLibrary: there is none.
    """
    if wanted:
        if os.path.isfile(wanted) and os.access(wanted, os.X_OK):
            return wanted
        raise MaintenanceError(
            "the Kingfisher program cannot be run",
            target=wanted,
            next_step="Correct the option kingfisher, or leave it out.",
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
    machine = os.uname().machine
    if machine not in BUILT_FOR:
        raise MaintenanceError(
            "Kingfisher is missing, and the package %s has no build for this kind of machine" % PACKAGE,
            code=machine,
            next_step="Build Kingfisher %s for it and put the program on the PATH, or leave this check out (--skip-tags security_audit_secrets)."
            % RELEASE,
        )
    raise MissingLibrary(PACKAGE)


def scan_command(program: str, rules_path: str, paths: Sequence[str], exclude: Sequence[str]) -> List[str]:
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


@contextmanager
def scanning_paths(
    program: str, paths: Sequence[str], exclude: Sequence[str], cache: str, workspace: str, timeout: float
) -> Iterator[Scanning]:
    """Scan the paths while something else is done; `kingfisher_output.understood` waits for what is found.

    Args:
        program: the Kingfisher program.
        paths: absolute paths.
        exclude: names or globs that are not entered, beside those that never are.
        cache: directory for the compiled rules, used if it exists.
        workspace: an empty directory of this run's own; everything Kingfisher writes beside the cache goes there.
        timeout: seconds.

    Raises:
        MaintenanceError: it cannot be started.
        OSError: the workspace cannot be written.
    """
    # The rules are long, and nobody else needs them: of files that are remembered none is read.
    from .secret_rules import RULES_YAML

    rules_path = os.path.join(workspace, "rules.yml")
    # A secret of our own must be found, or else the silence about others means nothing.
    probe_path, probe = os.path.join(workspace, "probe.conf"), "p" + os.urandom(12).hex()
    for path, text in ((rules_path, RULES_YAML), (probe_path, "PROBE_PASSWORD=%s\n" % probe)):
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(text)
    with running_program(
        "Kingfisher",
        scan_command(program, rules_path, [*paths, probe_path], [*exclude, *NEVER_SCANNED]),
        workspace,
        kingfisher_environment(workspace, cache),
        timeout,
        ", ".join(paths),
        "Exclude what holds no code (exclude), or raise timeout.",
        unusable="It may be the build for another kind of machine: run the role miniecom.maintenance.prerequisites, or install "
        "%s %s for %s." % (PACKAGE, RELEASE, os.uname().machine),
    ) as running:
        yield Scanning(running, program, tuple(paths), probe)


def kingfisher_environment(workspace: str, cache: str) -> Dict[str, str]:
    """All that Kingfisher sees of the environment. What it writes beside the cache goes into the workspace."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LANG": "C.UTF-8",
        "HOME": workspace,
        "TMPDIR": workspace,
        "KF_RULE_CACHE_DIR": cache,
        "NO_COLOR": "1",
    }


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


@contextmanager
def kingfisher_workspace(parent: str) -> Iterator[str]:
    """An empty directory, readable by this user only, as long as it is needed.

    Raises:
        MaintenanceError: it cannot be made, or what is made in it failed.
    """
    workspace = ""
    try:
        workspace = tempfile.mkdtemp(prefix="miniecom-scan-", dir=parent)
        yield workspace
    except OSError as error:
        raise from_os_error(
            "cannot prepare the scan",
            error,
            next_step="Check that state_dir and the temporary directory are writable and have space.",
        ) from error
    finally:
        if workspace:
            shutil.rmtree(workspace, ignore_errors=True)
