#!/bin/sh
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# ansible-core 2.19.14 on CPython 3.11.7.
#
# Ansible forks a worker for each task and host, and around each fork CPython calls the hooks that libraries have asked
# for (logging has two, random and threading others). A hook written in Python is a place where a pending signal is looked
# at, so a SIGINT that comes in that moment raises KeyboardInterrupt inside the hook, and an exception inside a hook is
# printed ("Exception ignored in ...") and thrown away. The interruption is gone: the play goes on with this task and all
# that follow, and ends with 0. A second press is needed, and who has sent one signal to a job believes it was stopped.
#
# Here a callback plugin sends SIGINT to ansible-playbook once from a hook of its own, while the first task is forked: the
# moment is the same, only not left to luck. As a control the same signal is sent once outside a hook.
#
# Seen:
#   forking: rc 0, 3 of 3 tasks, "Exception ignored in" printed
#   between: rc 99, no task ended
#
# Ends with 0 when it is still so, with 1 when the behaviour has changed, with 2 when it cannot be tried here. Needs
# python3 (3.11 or newer) with venv, and pip's own package source; all is put into a temporary folder.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

{
    python3 -m venv venv && venv/bin/pip install -q --disable-pip-version-check ansible-core==2.19.14
} || {
    echo "cannot be tried here" >&2
    exit 2
}

mkdir callback_plugins
cat >callback_plugins/interrupt.py <<'PYTHON'
import os
import signal

from ansible.plugins.callback import CallbackBase

MAIN = os.getpid()


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "interrupt"
    sent = False

    def v2_playbook_on_task_start(self, task, is_conditional):
        if CallbackModule.sent:
            return
        CallbackModule.sent = True
        if os.environ["MOMENT"] == "forking":
            once = []

            def hook():
                if os.getpid() == MAIN and not once:
                    once.append(True)
                    os.kill(MAIN, signal.SIGINT)

            os.register_at_fork(before=hook)
        else:
            os.kill(MAIN, signal.SIGINT)
PYTHON
cat >play.yml <<'YAML'
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.command: touch one
    - ansible.builtin.command: touch two
    - ansible.builtin.command: touch three
YAML

try() {
    rm -f one two three
    rc=0
    # A shell starts what runs in its background with SIGINT ignored; whoever runs this so must not spoil it.
    HOME=$work MOMENT=$1 ANSIBLE_CALLBACKS_ENABLED=interrupt ANSIBLE_LOCALHOST_WARNING=false \
        timeout 120 env --default-signal=INT venv/bin/ansible-playbook -i localhost, \
        -e "ansible_python_interpreter=$work/venv/bin/python" play.yml >"$1.out" 2>&1 </dev/null || rc=$?
    done=$(find . -maxdepth 1 \( -name one -o -name two -o -name three \) | wc -l)
    ignored=$(grep -c 'Exception ignored in' "$1.out" || true)
    echo "$1: rc $rc, $done of 3 tasks, \"Exception ignored in\" $ignored times"
}

venv/bin/ansible-playbook --version | head -1
venv/bin/python --version
try forking
forking="$rc/$done"
try between
if [ "$forking" = 0/3 ] && [ "$rc" -ne 0 ] && [ "$done" -lt 3 ]; then
    exit 0
fi
tail -20 forking.out between.out >&2
exit 1
