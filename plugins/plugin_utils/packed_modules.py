# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules that one run has packed for its hosts wait for the next. Controller side.

Ansible packs each module with all that it imports, and forgets the packages at the end of the run: a fifth of the controller's work
in a run with nothing to do. It looks for a package in the directory ``ansiballz_cache`` of the run's temporary directory before
it makes one (ansible-core 2.18 to 2.21, ``ansible.executor.module_common``). At its begin a run lays there what earlier runs made of
the very same sources under the very same Ansible, at its end it keeps what is new.

Whatever goes wrong here costs only time: nothing is raised, and a package that is not what was kept is not laid out.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import sys
from typing import List

from ..module_utils._core.atomic_file import write_atomic

# Packages of ours as Ansible names them, but for those of its extensions, such as a debugger's, which have settings of their own.
OURS = re.compile(r"ansible_collections\.miniecom\.maintenance\.plugins\.modules\.\w+-ZIP_[A-Z]+(-none)?")
# As many states of sources and Ansible as there may be in use side by side.
STATES = 3
_NOTE = ".miniecom_kept_in"


def state_of(sources: str, core: str) -> str:
    """What decides how a package looks, as one word: our sources, Ansible and Python.

    Args:
        sources: the collection's directory ``plugins``.
        core: version and place of ansible-core.

    Raises:
        OSError: a source cannot be read.
    """
    digest = hashlib.sha256(("%s\n%s\n%s\n" % (core, sys.version, sources)).encode())
    for part in ("module_utils", "modules"):
        for directory, below, names in os.walk(os.path.join(sources, part)):
            below.sort()
            for name in sorted(names):
                if name.endswith(".py"):
                    path = os.path.join(directory, name)
                    with open(path, "rb") as handle:
                        content = hashlib.sha256(handle.read()).hexdigest()
                    digest.update(("%s %s\n" % (os.path.relpath(path, sources), content)).encode())
    return digest.hexdigest()[:32]


def lay_out(temporary: str, kept: str, sources: str, core: str) -> None:
    """Let a run find what earlier ones packed. Hosts of one run may ask for it at once, and again.

    Args:
        temporary: the run's own temporary directory.
        kept: where packages lie between runs, a directory for each state; made where it is missing.
        sources: the collection's directory ``plugins``.
        core: version and place of ansible-core.
    """
    cache = os.path.join(temporary, "ansiballz_cache")
    if os.path.exists(os.path.join(cache, _NOTE)):
        return
    try:
        if not _ours_alone(kept):
            return
        state = os.path.join(kept, state_of(sources, core))
        os.makedirs(state, mode=0o700, exist_ok=True)
        os.utime(state)
        os.makedirs(cache, exist_ok=True)
        for stored in os.listdir(state):
            name, _dot, digest = stored.rpartition(".")
            if OURS.fullmatch(name):
                with open(os.path.join(state, stored), "rb") as handle:
                    content = handle.read()
                # A power cut may leave an empty file under the right name.
                if hashlib.sha256(content).hexdigest() == digest:
                    _lay(content, os.path.join(cache, name))
                else:
                    os.unlink(os.path.join(state, stored))
        with open(os.path.join(cache, _NOTE), "w", encoding="utf-8") as note:
            note.write(state)
        for old in _outdated(kept):
            shutil.rmtree(os.path.join(kept, old), ignore_errors=True)
    except OSError:
        return


def keep(temporary: str) -> None:
    """Keep what a run has packed and earlier ones had not.

    Args:
        temporary: the run's own temporary directory, where ``lay_out`` noted the place.
    """
    cache = os.path.join(temporary, "ansiballz_cache")
    try:
        with open(os.path.join(cache, _NOTE), encoding="utf-8") as note:
            state = note.read()
        have = {stored.rpartition(".")[0] for stored in os.listdir(state)}
        for name in os.listdir(cache):
            if OURS.fullmatch(name) and name not in have:
                with open(os.path.join(cache, name), "rb") as handle:
                    content = handle.read()
                stored = os.path.join(state, "%s.%s" % (name, hashlib.sha256(content).hexdigest()))
                write_atomic(stored, content)
    except OSError:
        return


def _ours_alone(kept: str) -> bool:
    """Whether nobody else may write there: what lies in it runs on the hosts."""
    os.makedirs(kept, mode=0o700, exist_ok=True)
    status = os.lstat(kept)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _lay(content: bytes, target: str) -> None:
    """In one step, so that no worker reads half a package, and never over what a worker has made meanwhile."""
    partial = "%s.%d-part" % (target, os.getpid())
    with open(partial, "wb") as handle:
        handle.write(content)
    try:
        os.link(partial, target)
    except FileExistsError:
        pass
    finally:
        os.unlink(partial)


def _outdated(kept: str) -> List[str]:
    """States that were not used for the longest time, beyond those that stay."""
    aged = sorted(os.listdir(kept), key=lambda name: os.stat(os.path.join(kept, name)).st_mtime)
    return aged[:-STATES]
