# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make demo``: raise a sandbox shop, run the weekly maintenance on it, say where to look."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def say(text: str) -> None:
    print(text, flush=True)


def call(command: list[str], environment: dict[str, str] | None = None) -> int:
    """Run a command to its end and return its exit status.

    Raises:
        KeyboardInterrupt: somebody pressed Ctrl-C. The command was told as well, and has had the time to end properly.
    """
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise


def run_playbook(name: str, *arguments: str, environment: dict[str, str] | None = None) -> int:
    """Run one of the collection's playbooks on the sandbox; returns the exit status of ansible-playbook."""
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        str(ROOT / "inventories" / "sandbox"),
        str(ROOT / "playbooks" / f"{name}.yml"),
        *arguments,
    ]
    # ANSIBLE_HOME: the user's own ~/.ansible stays as it is.
    merged = dict(
        os.environ,
        ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"),
        ANSIBLE_HOME=str(ROOT / ".cache" / "ansible"),
        **(environment or {}),
    )
    return call(command, merged)


def up(deployment: str, further: list[str]) -> int:
    """Raise the sandbox and run the weekly maintenance on it; 0 when both went well."""
    started = time.monotonic()
    say(f"== 1/2 raising the {deployment} sandbox (a real MongoDB, a stand-in for the shop, realistic trouble)")
    status = call([sys.executable, "-m", "tests.sandbox", "up", "--deployment", deployment])
    if status:
        return status
    raised = time.monotonic()
    say("== 2/2 ansible-playbook -i inventories/sandbox playbooks/weekly.yml")
    # A demo that was interrupted leaves a run behind that nobody goes on with.
    status = run_playbook("weekly", "-e", "context_takeover_own=true", *further)
    ended = time.monotonic()
    say(f"sandbox: {raised - started:.0f} s, weekly run: {ended - raised:.0f} s")
    if status == 0:
        say("The sandbox is still up. Run the same again: nothing is left to do (changed=0).")
        for crontab in sorted((ROOT / ".sandbox/current/cron").glob("*")):
            if any(line[:1].isdigit() for line in crontab.read_text(encoding="utf-8").splitlines()):
                say(
                    "Its own crontab deletes backups, as the shop's does, so none was removed beside it. Switch it off,"
                )
                say(f"and the next run rotates them: sed -i 's/^[0-9]/#&/' {crontab.relative_to(ROOT)}")
    else:
        say("The run ended failed; the summary above names the step.")
    say("Try any other playbook on it: make try PLAYBOOK=assess")
    say("Remove it without trace: make demo-down")
    return status


def down() -> int:
    """Remove whatever sandboxes are up, and say what is left of it all."""
    status = call([sys.executable, "-m", "tests.sandbox", "down"])
    left = [name for name in (".venv", ".cache") if (ROOT / name).exists()]
    if status == 0 and left:
        say(f"What was downloaded for it remains in this checkout, in {' and '.join(left)}; remove it, too: make clean")
    return status


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.demo", description=__doc__)
    parser.add_argument("verb", choices=["up", "down", "try"])
    parser.add_argument("--deployment", choices=["native", "compose"], default="native")
    parser.add_argument("further", nargs="*", help="try: a playbook; and arguments for ansible-playbook, after --")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.verb == "down":
            return down()
        if chosen.verb == "try":
            return run_playbook(*chosen.further)
        return up(chosen.deployment, chosen.further)
    except KeyboardInterrupt:
        say(
            "Interrupted. The same again goes on from here and takes over what is left of this run; make demo-down removes all."
        )
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
