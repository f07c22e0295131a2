# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What audits keep on a host: the key of their fingerprints, and a baseline for each."""

from __future__ import annotations

import errno
import json
import os
import secrets
from typing import List, Tuple

from .._core.atomic_file import write_atomic
from .._core.errors import MaintenanceError
from .._core.finding import SEVERITIES, Baseline, Entry, key_id
from .._core.private_dir import private_directory

KEY_BYTES = 32
BASELINE_VERSION = 1


class AuditState:
    """Key and baselines of one host, in the state directory.

    Args:
        state_dir: the state directory.
        check: check mode: nothing is written; a key that does not exist yet is made up in memory.
    """

    def __init__(self, state_dir: str, check: bool) -> None:
        self.state_dir = state_dir
        self.check = check
        self.key_path = os.path.join(state_dir, "audit.key")
        self.temporary_key = False

    def baseline_path(self, audit: str) -> str:
        return os.path.join(self.state_dir, "baselines", audit + ".json")

    def key(self) -> bytes:
        """The key of this host's fingerprints; made, readable by its owner only, by the first real audit."""
        try:
            return self._read_key()
        except FileNotFoundError:
            pass
        fresh = secrets.token_bytes(KEY_BYTES)
        if self.check:
            self.temporary_key = True
            return fresh
        temporary = "%s.%s" % (self.key_path, secrets.token_hex(4))
        try:
            private_directory(self.state_dir)
            write_atomic(temporary, fresh, 0o600)
            try:
                # link() never replaces: of two first audits at once, both use the key of the one that was first.
                os.link(temporary, self.key_path)
            except FileExistsError:
                pass
            finally:
                os.unlink(temporary)
            return self._read_key()
        except OSError as error:
            raise _state_error("cannot make the key of the audits", self.key_path, error) from error

    def _read_key(self) -> bytes:
        try:
            with open(self.key_path, "rb") as handle:
                key = handle.read(KEY_BYTES + 1)
        except NotADirectoryError as error:
            raise _state_error("cannot read the key of the audits", self.key_path, error) from error
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _state_error("cannot read the key of the audits", self.key_path, error) from error
        if len(key) != KEY_BYTES:
            raise MaintenanceError(
                "the key of the audits is damaged",
                target=self.key_path,
                next_step="Remove it: the next audit makes another and begins its baseline anew.",
            )
        return key

    def load(self, audit: str, key: bytes) -> Tuple[Baseline, List[str]]:
        """The baseline of an audit, empty when there is none, and warnings."""
        path = self.baseline_path(audit)
        try:
            with open(path, encoding="utf-8") as handle:
                found = json.load(handle)
        except (FileNotFoundError, NotADirectoryError):
            return {}, []
        except OSError as error:
            raise _state_error("cannot read the baseline", path, error) from error
        except ValueError:
            found = {}
        try:
            if found["version"] != BASELINE_VERSION:
                raise ValueError("version")
            baseline = {
                str(scope): {str(mark): Entry(**entry) for mark, entry in entries.items()}
                for scope, entries in found["scopes"].items()
            }
            severities_known = all(
                entry.severity in SEVERITIES for entries in baseline.values() for entry in entries.values()
            )
            if not severities_known:
                raise ValueError("severity")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # Guessing here would turn known findings red, or new ones green.
            raise MaintenanceError(
                "the baseline cannot be understood",
                target=path,
                next_step="Restore it from a backup, or remove it: the next audit then sets a new one.",
            ) from error
        if found.get("key") != key_id(key):
            if self.temporary_key:
                return {}, ["%s belongs to a key that is missing; a real run would begin the baseline anew." % path]
            return {}, ["The key %s has changed since the last audit: the baseline is begun anew." % self.key_path]
        return baseline, []

    def store(self, audit: str, key: bytes, baseline: Baseline) -> None:
        """Write the baseline, in one step, if it differs from what is there; never in check mode."""
        if self.check:
            return
        text = json.dumps(
            {
                "version": BASELINE_VERSION,
                "key": key_id(key),
                "scopes": {
                    scope: {mark: entry.as_dict() for mark, entry in entries.items()}
                    for scope, entries in baseline.items()
                },
            },
            indent=1,
            sort_keys=True,
        )
        path = self.baseline_path(audit)
        data = (text + "\n").encode("utf-8")
        try:
            private_directory(self.state_dir, "baselines")
            if not same_content(path, data):
                write_atomic(path, data, 0o600)
        except OSError as error:
            raise _state_error("cannot write the baseline", path, error) from error


def same_content(path: str, data: bytes) -> bool:
    """Whether a regular file holds exactly these bytes."""
    try:
        with open(path, "rb") as handle:
            return handle.read(len(data) + 1) == data
    except OSError:
        return False


def _state_error(what: str, path: str, error: OSError) -> MaintenanceError:
    step = "Check that the file system of state_dir is writable and has space."
    if error.errno in (errno.EACCES, errno.EPERM):
        step = (
            "Run as the owner of the state directory, usually root (become: true), or set state_dir. "
            "This process runs as uid %d." % os.geteuid()
        )
    return MaintenanceError(what, target=path, code=errno.errorcode.get(error.errno or 0, error.errno), next_step=step)
