# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command that installs a package, for the sentence that tells of a missing one."""

from __future__ import annotations

import os
import shutil

INSTALLERS = ("apt-get", "dnf", "yum", "zypper", "apk")
# Begins the command of a sentence that a module ends with. Only the controller knows how the host is reached: it tells people a command
# that they type there instead.
AS_ROOT = "Run as root on the host: "


def find_installer() -> str:
    """The program of this host that installs packages; empty when none is known."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    return next((name for name in INSTALLERS if shutil.which(name, path=path)), "")


def installing(installer: str, *packages: str) -> str:
    """The command that installs packages.

    Args:
        installer: one of INSTALLERS; empty means Debian's.
    """
    names = " ".join(packages)
    if installer in ("apt-get", ""):
        return "apt-get update && apt-get install -y %s" % names
    return ("apk add %s" if installer == "apk" else installer + " install -y %s") % names
