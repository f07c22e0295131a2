# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ``ansible-test sanity`` on the working tree, uncommitted files included.

ansible-test wants the collection below a directory ansible_collections, without the link that a checkout has, and keeps its
environments in the home directory. So it gets a copy and a home of its own in .cache; nothing of the user's is touched.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import old_python
from tests.support.pythons import PythonUnavailable, find_interpreter

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / ".cache" / "sanity" / "ansible_collections" / "miniecom" / "maintenance"
HOME = ROOT / ".cache" / "home"
INTERPRETERS = ROOT / ".cache" / "interpreters"
# ansible-test would fetch this script from a host of its own; pip comes with Python.
GET_PIP = """\
import subprocess
import sys

# In a process of its own: ensurepip makes pip deaf to its configuration.
subprocess.check_call([sys.executable, "-m", "ensurepip"])
arguments = [item for item in sys.argv[1:] if item not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *arguments]))
"""
# What pip says while ansible-test makes its environments.
NOISE = (
    *("Attempting uninstall", "Collecting", "Downloading", "Found existing", "Installing collected", "Looking in"),
    *("Obtaining", "Processing", "Requirement already", "Successfully", "Uninstalling", "Using cached", "\u2501"),
    "WARNING: Location",
)
GET_PIP_NAMES = ("get_pip_24_2.py", "get_pip_25_2.py")


def shipped(name: str) -> bool:
    """Whether a file goes into the copy: what users get, without the tests that only a checkout runs."""
    if name.startswith("tests/"):
        return name.startswith(("tests/sandbox/", "tests/sanity/"))
    return not name.startswith(("collections/", "findings/", "molecule/", ".ci/"))


def copy_working_tree() -> None:
    """Bring the copy in line with the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    wanted = {name for name in listed.split("\0") if name and shipped(name) and (ROOT / name).is_file()}
    COPY.mkdir(parents=True, exist_ok=True)
    if not (COPY / ".git").exists():
        # A repository of its own: else the copy counts as ignored files of this one, and nothing is tested.
        subprocess.run(["git", "init", "--quiet", str(COPY)], check=True)
    (COPY / ".git" / "info" / "exclude").write_text("tests/output/\n")
    for path in sorted(COPY.rglob("*"), reverse=True):
        name = path.relative_to(COPY).as_posix()
        if name.startswith((".git/", "tests/output")) or name == ".git":
            continue
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif name not in wanted:
            path.unlink()
    for name in wanted:
        source, target = ROOT / name, COPY / name
        if not (target.exists() and filecmp.cmp(source, target, shallow=False)):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def private_home() -> None:
    """A home directory with the script above and the user's settings of pip."""
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for name in GET_PIP_NAMES:
        (cache / name).write_text(GET_PIP)
    # ansible-test passes no PIP_* variables on, so what is in force here goes into the file.
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    settings: dict[str, str] = {}
    for line in done.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.partition(".")
        if section in ("global", "install", ":env:") and option != "config-file":
            # Variables of the environment are listed last and win, as they do for pip.
            settings[option] = value.strip("'\"").replace("\\n", " ")
    file = HOME / ".config" / "pip" / "pip.conf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text("[global]\n" + "".join(f"{option} = {value}\n" for option, value in settings.items()))


def target_pythons() -> list[str]:
    """The oldest target Python under the name that ansible-test looks for; none where the machine has none."""
    try:
        interpreter = find_interpreter(old_python.VERSION)
    except PythonUnavailable as error:
        if os.environ.get("CI"):
            sys.exit(f"CI must have the oldest target Python: {error}")
        print(f"NOT TESTED: sanity under the oldest target Python: {error}")
        return []
    INTERPRETERS.mkdir(parents=True, exist_ok=True)
    link = INTERPRETERS / f"python{old_python.VERSION}"
    link.unlink(missing_ok=True)
    # What stands first on PATH may be a shim that works in some directories only.
    link.symlink_to(Path(interpreter).resolve())
    return ["--target-python", old_python.VERSION]


def main() -> int:
    copy_working_tree()
    private_home()
    here = "{}.{}".format(*sys.version_info[:2])
    targets = target_pythons()
    environment = {
        **os.environ,
        "HOME": str(HOME),
        "PATH": f"{INTERPRETERS}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYENV_ROOT": os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv")),
    }
    # These would lead ansible-test to the checkout instead of the copy.
    for name in ("ANSIBLE_CONFIG", "ANSIBLE_COLLECTIONS_PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):
        environment.pop(name, None)
    command = [str(Path(sys.executable).parent / "ansible-test"), "sanity", "--color", "no"]
    command += ["--controller", f"origin:python=venv/{here}", *(targets or ["--target-python", "default"])]
    with subprocess.Popen(
        [*command, *sys.argv[1:]],
        cwd=COPY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.lstrip().startswith(NOISE):
                print(line, end="", flush=True)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
