# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a host from being maintained before any module can run there, and what to do about it. Pure, controller side.

What is asked of the host is asked in its shell: without a Python that Ansible can use no module says anything that a person understands.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from packaging.requirements import Requirement

from ..module_utils._core.installing import INSTALLERS, installing

Version = Tuple[int, ...]
# What the modules of this collection need.
OLDEST: Version = (3, 8)
MARK = "miniecom"
_SAY = "import sys; print('%d.%d.%d' % sys.version_info[:3]); sys.exit(sys.version_info < ({0}))"


@dataclass(frozen=True)
class Facts:
    """What a host's shell has told.

    Attributes:
        pythons: path and version, in the order in which Ansible looks for them; the search ends with the first that is new enough.
        installer: the program that installs packages; empty when none is known.
        machine: kind of processor, as uname has it.
        musl: its C library is musl.
        base: version of the Python that makes the environment; empty where it does not run.
        venv: that one can make one.
        environment: the environment that was asked for is there, complete, and its Python runs.
    """

    pythons: Tuple[Tuple[str, Version], ...] = ()
    installer: str = ""
    machine: str = ""
    musl: bool = False
    base: Version = ()
    venv: bool = False
    environment: bool = False


def probe(
    candidates: Sequence[str], oldest: Version, base: str = "", environment: Optional[Tuple[str, str]] = None
) -> str:
    """The shell commands that tell Facts.

    Args:
        candidates: names or paths of Pythons, in Ansible's order.
        oldest: what Ansible needs there.
        base: the Python that is to make a virtual environment; empty asks for none.
        environment: the mark of a complete virtual environment and its Python.
    """
    say = shlex.quote(_SAY.format(", ".join(map(str, oldest))))
    lines = [
        "echo %s machine $(uname -m)" % MARK,
        "for n in %s; do p=$(command -v $n) || continue" % " ".join(map(shlex.quote, candidates)),
        'v=$("$p" -c %s 2>/dev/null); s=$?; echo "%s python ${v:-0.0.0} $p"; [ $s = 0 ] && break; done' % (say, MARK),
        "for n in %s; do command -v $n >/dev/null && echo %s installer $n && break; done"
        % (" ".join(INSTALLERS), MARK),
    ]
    if base:
        lines += [
            "ls /lib/ld-musl-* >/dev/null 2>&1 && echo %s musl yes" % MARK,
            'v=$(%s -c %s 2>/dev/null); [ -z "$v" ] || echo %s base $v' % (shlex.quote(base), say, MARK),
            "%s -c 'import venv, ensurepip' 2>/dev/null && echo %s venv yes" % (shlex.quote(base), MARK),
        ]
    if environment:
        # An upgrade of the system may have taken away the Python that it was made from.
        lines.append(
            "[ -e %s ] && %s -c '' 2>/dev/null && echo %s environment yes" % (*map(shlex.quote, environment), MARK)
        )
    return "\n".join([*lines, "true"])


def facts(output: str) -> Facts:
    """What the probe has said, whatever else a login prints."""
    said: Dict[str, List[str]] = {}
    for _mark, name, value in re.findall(r"(?m)^(%s) (\w+) (.+?)\r?$" % MARK, output):
        said.setdefault(name, []).append(value)
    pythons = [text.partition(" ") for text in said.get("python", ())]
    first = {name: values[0] for name, values in said.items()}
    return Facts(
        pythons=tuple((path, version_of(version)) for version, _space, path in pythons),
        installer=first.get("installer", ""),
        machine=first.get("machine", ""),
        musl="musl" in said,
        base=version_of(first.get("base", "")),
        venv="venv" in said,
        environment="environment" in said,
    )


def version_of(text: str) -> Version:
    return tuple(map(int, re.findall(r"\d+", text)[:3]))


def dotted(version: Version) -> str:
    return ".".join(map(str, version[:2]))


@dataclass(frozen=True)
class Ways:
    """The commands that can be offered to whoever has typed this one.

    Attributes:
        host: the host's name in the inventory.
        user: who logs in.
        core: version of ansible-core.
        on_host: makes a command that runs something on the host as root.
        again: makes this command with more arguments.
        other: makes the command of another playbook, with more arguments.
    """

    host: str
    user: str
    core: str
    on_host: Callable[[str], str]
    again: Callable[[Sequence[str]], str]
    other: Callable[[str, Sequence[str]], str]


def become_problem(message: str, ways: Ways) -> str:
    """What is to be done when the user cannot become root; empty for other troubles.

    Args:
        message: what the connection, or the shell of the host, has said.
    """
    said = message.lower()
    if re.search(r"(sudo|doas): (command )?not found|no such file or directory: b?'sudo'", said):
        return "There is no sudo on %s, and %s is not root. With root's password it goes by su: %s" % (
            ways.host,
            ways.user,
            ways.again(["--become-method", "su", "-K"]),
        )
    if re.search(r"not in the sudoers|is not allowed to (run|execute)|may not run sudo", said):
        return "%s may not use sudo on %s. With root's password it goes by su: %s" % (
            ways.user,
            ways.host,
            ways.again(["--become-method", "su", "-K"]),
        )
    if re.search(r"incorrect \w+ password|sorry, try again|incorrect password attempt", said):
        return "The password for sudo on %s is wrong. Type the one of %s there: %s" % (
            ways.host,
            ways.user,
            ways.again(["-K"]),
        )
    if re.search(
        r"missing \w+ password|password is required|terminal is required|waiting for privilege escalation", said
    ):
        return "sudo on %s wants the password of %s. Let Ansible ask for it: %s" % (
            ways.host,
            ways.user,
            ways.again(["-K"]),
        )
    return ""


def python_problem(found: Facts, oldest: Version, named: str, ways: Ways) -> str:
    """Why Ansible cannot run modules there, and what to do; empty when it can.

    Args:
        oldest: what Ansible needs there.
        named: the interpreter that the inventory names; empty when Ansible looks for one.
    """
    good = [path for path, version in found.pythons if version[:2] >= oldest]
    if (
        found.pythons
        and found.pythons[0][1][:2] >= oldest
        and (not named or found.pythons[0][0] == named or "/" not in named)
    ):
        return ""
    if not found.pythons:
        missing = "no Python %s" % named if named else "no Python"
        return "There is %s on %s. Install one: %s" % (missing, ways.host, ways.on_host(install(found, "python3")))
    path, version = found.pythons[0]
    # Such as a shim of pyenv for a version that is not chosen.
    begin = "Python %s on %s does not run." % (path, ways.host)
    if version > (0, 0, 0):
        begin = "Python %s on %s (%s) is too old: ansible-core %s needs %s or newer there." % (
            dotted(version),
            ways.host,
            path,
            ways.core,
            dotted(oldest),
        )
    if named and path != named:
        begin = "There is no Python %s on %s, as ansible_python_interpreter has it." % (named, ways.host)
    if good:
        return "%s Name one that does: %s" % (begin, ways.again(["-e", "ansible_python_interpreter=" + good[0]]))
    if version[:2] >= OLDEST:
        return "%s Take an older Ansible on this machine: python3 -m pip install 'ansible-core<2.20'" % begin
    return "%s Install a newer one beside it and name it: %s" % (
        begin,
        ways.again(["-e", "ansible_python_interpreter=/usr/bin/python3.%d" % oldest[1]]),
    )


def venv_problem(found: Facts, base: str, ways: Ways) -> str:
    """Why no virtual environment can be made there, and what to do; empty when one can.

    Args:
        base: the Python that is to make it.
    """
    if not found.base or found.base[:2] < OLDEST:
        begin = "There is no Python %s on %s" % (base, ways.host)
        if found.base:
            begin = "Python %s on %s (%s) is too old for the modules' libraries, which need 3.8" % (
                dotted(found.base),
                ways.host,
                base,
            )
        newer = [path for path, version in found.pythons if version[:2] >= OLDEST]
        if newer:
            return "%s. Name another one: %s" % (begin, ways.again(["-e", "prerequisites_base_python=" + newer[0]]))
        return "%s. Install one: %s" % (begin, ways.on_host(install(found, "python3", "python3-venv")))
    if found.venv:
        return ""
    package = "python%s-venv" % dotted(found.base) if found.installer == "apt-get" else "python3"
    return "Python's venv module is missing on %s. Install it: %s" % (ways.host, ways.on_host(install(found, package)))


def install(found: Facts, *packages: str) -> str:
    """The command that installs packages on the host."""
    # A package of its own only where Debian's way of parting Python is followed.
    named = [name for name in packages if name != "python3-venv" or found.installer in ("apt-get", "", "apk")]
    return installing(found.installer, *named)


def wanted(requirements: str, version: Version, machine: str) -> List[str]:
    """Which of the requirements count for a host: pip on another machine would judge the markers by itself.

    Args:
        requirements: text of the file.
        version: of the host's Python.
        machine: kind of the host's processor.
    """
    about = {"python_version": dotted(version), "platform_machine": machine, "sys_platform": "linux"}
    chosen = []
    for line in requirements.splitlines():
        text = line.partition("#")[0].strip()
        if text:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(about):
                chosen.append("%s%s" % (requirement.name, requirement.specifier))
    return chosen


def fill_command(requirements: str, found: Facts, directory: str, python: str = "python3") -> str:
    """The command that fills a directory of this machine with the wheels for a host.

    Args:
        found: of the host; `base` and `machine` count.
        directory: where they go.
        python: the interpreter of this machine that has pip.
    """
    # pip takes each for itself: none stands for what is older.
    kind = ("musllinux_1_2", "musllinux_1_1") if found.musl else ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
    words = [python, "-m", "pip", "download", "--only-binary=:all:", "--python-version", dotted(found.base)]
    words += [word for name in kind for word in ("--platform", "%s_%s" % (name, found.machine))]
    return " ".join(map(shlex.quote, [*words, "--dest", directory, *wanted(requirements, found.base, found.machine)]))


def pip_problem(
    said: str, found: Facts, requirements: str, wheelhouse: str, ways: Ways, python: str = "python3"
) -> str:
    """What pip's failure means, in a sentence with the command that helps.

    Args:
        said: all that pip has written.
        found: of the host.
        requirements: text of the file.
        wheelhouse: the directory of this machine that the wheels came from; empty for a package index.
        python: the interpreter of this machine that has pip.
    """
    missing = re.search(r"No matching distribution found for ([^\s(;]+)", said)
    unreachable = re.search(
        r"(?i)connection broken by|name resolution|network is unreachable|connection refused|timed out|proxy|cannot connect",
        said,
    )
    where = wheelhouse or "wheels"
    fill = fill_command(requirements, found, where, python)
    if re.search(r"(?i)no space left on device|errno 28", said):
        return (
            "The disk of %s is full: pip cannot install the modules' libraries there. Look where the space went: %s"
            % (
                ways.host,
                ways.on_host("df -h"),
            )
        )
    if re.search(r"(?i)certificate.verify|sslerror|ssl: ", said) and not wheelhouse:
        return "%s does not trust the certificate of the package index. Name a mirror that it trusts: %s" % (
            ways.host,
            ways.again(["-e", "prerequisites_index_url=https://MIRROR/simple"]),
        )
    if missing and wheelhouse:
        return "%s lacks %s for Python %s on %s, as %s has it. Fill it: %s" % (
            wheelhouse,
            missing[1],
            dotted(found.base),
            found.machine,
            ways.host,
            fill,
        )
    if unreachable or missing:
        return (
            "%s reaches no package index. A mirror that it does reach is named by -e prerequisites_index_url=URL. Without one, fetch the "
            "libraries here and push them: %s && %s"
            % (ways.host, fill, ways.other("prerequisites", ["-e", "prerequisites_wheelhouse=" + where]))
        )
    errors = [
        line.strip() for line in said.splitlines() if line.lower().startswith("error")
    ] or said.strip().splitlines()[-1:]
    return "pip cannot install the modules' libraries on %s: %s. Try again: %s" % (
        ways.host,
        (errors or ["it said nothing"])[-1].rstrip("."),
        ways.again([]),
    )
