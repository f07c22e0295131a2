# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Encrypted backups: what ``openssl enc -aes-256-cbc -pbkdf2`` writes and reads.

The program openssl does it, as in the shop's own scripts, so that anybody can decrypt a backup with it. The passphrase
goes through a pipe, never through an argument or the environment, where other users could read it.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any, BinaryIO, List, Optional

from .._core.errors import MaintenanceError, from_os_error
from .._core.redaction import SECRETS
from .plausibility import HEAD_BYTES, begins_as_archive

_CIPHER = ["enc", "-aes-256-cbc", "-pbkdf2", "-salt"]
CANNOT_DECRYPT = (
    "Most likely the passphrase is wrong: name the file with that of the time when it was made, passphrase_file"
    " (backup_passphrase_file; for a drill dr_drill_passphrase_file on the controller). Else the file is damaged, or was not made"
    " by openssl enc -aes-256-cbc -pbkdf2: take another backup."
)
_COPY_BYTES = 1024 * 1024


def read_passphrase(path: str) -> bytes:
    """The first line of a file as ``openssl -pass file:`` takes it: up to the line feed.

    What an editor of another system puts before that, a carriage return, is a part of the passphrase.

    Raises:
        MaintenanceError: unreadable or empty.
    """
    try:
        with open(path, "rb") as handle:
            passphrase = handle.readline(4096).partition(b"\n")[0]
    except OSError as error:
        raise from_os_error(
            "cannot read the file with the passphrase",
            error,
            target=path,
            next_step="Set passphrase_file to a file that this user may read.",
        ) from error
    if not passphrase.strip(b"\r"):
        raise MaintenanceError(
            "the file with the passphrase is empty", target=path, next_step="Write the passphrase into its first line."
        )
    for secret in (passphrase, passphrase.rstrip(b"\r")):
        SECRETS.register(secret.decode("utf-8", "surrogateescape"))
    return passphrase


class Openssl:
    """One run of openssl: reads the file given, its output is read with read(n).

    Raises:
        MaintenanceError: openssl is missing or failed; a wrong passphrase shows as that, too.
    """

    def __init__(self, source: BinaryIO, passphrase: bytes, decrypt: bool, name: str) -> None:
        self._name = name
        self._decrypt = decrypt
        self._begun = False
        self._held = b""
        reading, writing = os.pipe()
        try:
            os.write(writing, passphrase + b"\n")
            os.close(writing)
            arguments: List[str] = ["openssl", *_CIPHER, "-pass", "fd:%d" % reading]
            if decrypt:
                arguments.append("-d")
            self._process: Optional[subprocess.Popen[bytes]] = subprocess.Popen(
                arguments, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(reading,)
            )
        except OSError as error:
            raise from_os_error(
                "cannot run openssl", error, target=name, next_step="Install the package openssl."
            ) from error
        finally:
            os.close(reading)

    def read(self, size: int = _COPY_BYTES) -> bytes:
        process: Any = self._process
        if self._decrypt and not self._begun:
            # A wrong passphrase gives garbage, which openssl notices by its padding at the end, in 255 of 256 cases. The head
            # of an archive, packed and with a tar in it, no garbage has.
            self._held, self._begun = process.stdout.read(HEAD_BYTES), True
            if self._held and not begins_as_archive(self._held):
                raise MaintenanceError(
                    "cannot decrypt: what comes out is no archive", target=self._name, next_step=CANNOT_DECRYPT
                )
        data: bytes = self._held[:size]
        self._held = self._held[size:]
        if not data:
            data = process.stdout.read(size)
        if not data and size:
            self._finish()
        return data

    def _finish(self) -> None:
        process: Any = self._process
        message = process.stderr.read().decode("utf-8", "replace")
        if process.wait() != 0:
            self._process = None
            what = "cannot decrypt" if self._decrypt else "cannot encrypt"
            step = CANNOT_DECRYPT if self._decrypt else "See the message of openssl."
            reason = " ".join(message.split())[:200]
            raise MaintenanceError(
                "%s (openssl: %s)" % (what, SECRETS.clean_text(reason)),
                target=self._name,
                code=process.returncode,
                next_step=step,
            )

    def close(self) -> None:
        process = self._process
        if process is not None:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
            self._process = None
