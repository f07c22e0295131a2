# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What timers and crontabs of this collection start: one job, after the others, when the host is ready for it.

It is packed into one file on the host (`_core/program.py`) and needs nothing but Python. What it runs stands in a file of
the job, so that units and crontabs hold no text of anybody's variables.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import pwd
import signal
import socket
import ssl
import struct
import subprocess
import sys
import syslog
import time
from typing import Any, Callable, Dict, List, Mapping, Optional
from urllib.parse import urlsplit

from .._core.processes import read_process

LOCK = "lock"
SYSLOG, STANDARD_OUTPUT = "syslog", "stdout"
# Exit statuses of its own (sysexits.h): the job file is wrong; another job has not ended in time; this very job still runs.
BROKEN, QUEUE_TOO_LONG, STILL_RUNNING = 78, 75, 0
_TRY_SECONDS = 2.0
_ANSWER_SECONDS = 5.0
_LARGEST_ANSWER = 1 << 20

Say = Callable[[int, str], None]


def job_path(directory: str, name: str) -> str:
    return os.path.join(directory, name + ".json")


def main(arguments: List[str]) -> int:
    """run DIRECTORY NAME, or alert DIRECTORY NAME."""
    verb, directory, name = arguments
    try:
        with open(job_path(directory, name), encoding="utf-8") as handle:
            job: Dict[str, Any] = json.load(handle)
            say = _say_to(str(job["log"]), name)
            if verb == "alert":
                return tell_failure(job, name, os.environ.get("MONITOR_EXIT_STATUS", ""), say)
            # Held as long as this lives; by its own file, which is there as long as the job is.
            if not _locked(handle.fileno()):
                say(syslog.LOG_WARNING, "the job %s still runs or waits: not started again" % name)
                return STILL_RUNNING
            status = _in_turn(job, directory, name, say)
            if status and job["alert_itself"]:
                tell_failure(job, name, str(status), say)
            return status
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.stderr.write("<2>the job %s cannot be read: %s\n" % (name, error))
        return BROKEN


def _say_to(log: str, name: str) -> Say:
    if log == SYSLOG:
        syslog.openlog("miniecom-maintenance-" + name, syslog.LOG_PID, syslog.LOG_DAEMON)
        return syslog.syslog

    def say(level: int, text: str) -> None:
        sys.stdout.write("<%d>%s\n" % (level, text))
        sys.stdout.flush()

    return say


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _in_turn(job: Mapping[str, Any], directory: str, name: str, say: Say) -> int:
    """Run the job when no other one runs, and the host is ready."""
    descriptor = os.open(os.path.join(directory, LOCK), os.O_RDONLY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + float(job["queue_seconds"])
        told = False
        while not _locked(descriptor):
            if not told:
                say(syslog.LOG_NOTICE, "the job %s waits for another one to end" % name)
                told = True
            if time.monotonic() > deadline:
                say(
                    syslog.LOG_CRIT,
                    "the job %s was not started: another one has not ended for %d minutes"
                    % (name, float(job["queue_seconds"]) / 60),
                )
                return QUEUE_TOO_LONG
            time.sleep(min(_TRY_SECONDS, 0.2 if time.monotonic() < deadline - 60 else _TRY_SECONDS))
        wait_until_ready(job["ready"], name, say)
        return _run(job, name, say)
    finally:
        os.close(descriptor)


# -- ready --------------------------------------------------------------------------------------------------------------


def seconds_since_boot() -> float:
    """How long the host, or the container, is up: how long its first process lives."""
    with open("/proc/uptime", encoding="ascii") as handle:
        uptime = float(handle.read().split()[0])
    first = read_process(1)
    return uptime - first.start_time / os.sysconf("SC_CLK_TCK") if first else uptime


def wait_until_ready(ready: Mapping[str, Any], name: str, say: Say) -> bool:
    """Soon after a boot, wait for a MongoDB that is healthy. It starts all the same in the end: the run tells what is wrong.

    Args:
        ready: address of MongoDB and URL of the shop's health endpoint, either of them may be ""; for how many seconds
            to wait, and how many seconds after a boot that is done at all.
    """
    address, url = str(ready["address"]), str(ready["health_url"])
    if not (address or url) or seconds_since_boot() > float(ready["boot_seconds"]):
        return True
    deadline, told = time.monotonic() + float(ready["seconds"]), False
    while not ((address and mongod_is_healthy(address)) or (url and shop_has_its_database(url))):
        if not told:
            say(syslog.LOG_NOTICE, "the job %s waits for MongoDB, which is not healthy since the host booted" % name)
            told = True
        if time.monotonic() > deadline:
            say(
                syslog.LOG_WARNING,
                "MongoDB is not healthy %d minutes later; the job %s starts all the same"
                % (float(ready["seconds"]) / 60, name),
            )
            return False
        time.sleep(_TRY_SECONDS)
    return True


def mongod_is_healthy(address: str) -> bool:
    """Whether a member answers, and is a primary, a secondary or on its own: not one that starts or recovers."""
    host, _colon, port = address.rpartition(":")
    for secure in (False, True):
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS) as plain:
                if not secure:
                    answer = _greet(plain)
                else:
                    # Nothing is told and nothing believed but that it answers: no certificate has to be right for that.
                    context = ssl._create_unverified_context()  # noqa: S323
                    with context.wrap_socket(plain) as wrapped:
                        answer = _greet(wrapped)
        except (OSError, ValueError):
            continue
        if any(b"\x08" + key + b"\x00\x01" in answer for key in (b"ismaster", b"isWritablePrimary", b"secondary")):
            return True
    return False


def _greet(connection: socket.socket) -> bytes:
    """Say hello as clients do before they log in: an OP_MSG with {isMaster: 1, $db: "admin"}."""
    body = b"\x10isMaster\x00" + struct.pack("<i", 1) + b"\x02$db\x00" + struct.pack("<i", 6) + b"admin\x00" + b"\x00"
    document = struct.pack("<i", len(body) + 4) + body
    message = struct.pack("<i", 0) + b"\x00" + document
    connection.sendall(struct.pack("<iiii", len(message) + 16, 1, 0, 2013) + message)
    answer = b""
    wanted = 4
    while len(answer) < wanted:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("the connection was closed")
        answer += piece
        if len(answer) >= 4:
            wanted = min(struct.unpack("<i", answer[:4])[0], _LARGEST_ANSWER)
    return answer


def shop_has_its_database(url: str) -> bool:
    """Whether the shop's health endpoint says that it is connected to MongoDB."""
    place = urlsplit(url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(place.hostname or "", place.port, timeout=2 * _ANSWER_SECONDS)
        try:
            connection.request("GET", (place.path or "/") + ("?" + place.query if place.query else ""))
            answer = connection.getresponse()
            found = json.loads(answer.read(_LARGEST_ANSWER)) if answer.status == 200 else None
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return isinstance(found, dict) and found.get("mongoConnected") is True


# -- running ------------------------------------------------------------------------------------------------------------


def _environment(job: Mapping[str, Any]) -> Dict[str, str]:
    found = {"LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1", "ANSIBLE_NOCOLOR": "1", **os.environ}
    try:
        user = pwd.getpwuid(os.geteuid())
        found.setdefault("HOME", user.pw_dir)
        found.setdefault("USER", user.pw_name)
    except KeyError:
        pass
    found.update({str(key): str(value) for key, value in job["environment"].items()})
    return found


def _run(job: Mapping[str, Any], name: str, say: Say) -> int:
    to_syslog = job["log"] == SYSLOG
    child: Optional[subprocess.Popen[bytes]] = None
    stopped: List[int] = []

    def stop(number: int, frame: object) -> None:
        stopped.append(number)
        if child is not None:
            child.send_signal(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    say(syslog.LOG_INFO, "the job %s starts: %s" % (name, " ".join(job["argv"])))
    started = time.monotonic()
    try:
        child = subprocess.Popen(
            job["argv"],
            cwd=job["working_directory"],
            env=_environment(job),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if to_syslog else None,
            stderr=subprocess.STDOUT if to_syslog else None,
        )
    except OSError as error:
        say(syslog.LOG_CRIT, "the job %s cannot be started: %s" % (name, error))
        return BROKEN
    if stopped:  # between the two lines above
        child.send_signal(stopped[0])
    for line in child.stdout or ():
        say(syslog.LOG_INFO, line.decode("utf-8", "replace").rstrip("\n"))
    status = child.wait()
    level = syslog.LOG_ERR if status else syslog.LOG_INFO
    say(level, "the job %s ended after %d s with status %d" % (name, time.monotonic() - started, status))
    return status if status >= 0 else 128 - status


def tell_failure(job: Mapping[str, Any], name: str, status: str, say: Say) -> int:
    """Say that a job has failed, where it is seen, and call who is to be told. That this fails must not hide that."""
    text = "the scheduled job %s failed%s" % (name, " (status %s)" % status if status else "")
    say(syslog.LOG_CRIT, "%s: journalctl -t miniecom-maintenance-%s" % (text, name))
    if not job["alert"]:
        return 0
    environment = dict(_environment(job), MINIECOM_JOB=name, MINIECOM_STATUS=status, MINIECOM_MESSAGE=text)
    try:
        done = subprocess.run(
            job["alert"], env=environment, cwd="/", stdin=subprocess.DEVNULL, check=False, timeout=300
        )
        problem = "status %d" % done.returncode if done.returncode else ""
    except (OSError, subprocess.SubprocessError) as error:
        problem = str(error)
    if problem:
        say(syslog.LOG_ERR, "the alert for the job %s could not be sent: %s" % (name, problem))
    return 1 if problem else 0
