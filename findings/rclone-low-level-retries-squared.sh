#!/bin/sh
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# rclone 1.60.1 (Debian 12): --low-level-retries, WebDAV.
#
# The option is the number of times that a request is tried which a server cannot answer. For a copy it counts twice: each request is
# tried so often, and when the last try fails the whole copy is, too, so that a server out of order gets the square of it. With the 10 that
# are rclone's own these are 100 requests in each of its three attempts (--retries), up to two seconds apart: a server that went half way
# through an upload of 24 MB kept rclone for four minutes, though each single request would have been given up after five seconds. A limit
# on the time of a transfer, or on how long a nightly job may say nothing, has to reckon with it.
#
# Seen: requests to make the directory of one file, each answered by 503, with --retries=1
#   --low-level-retries=2    4
#   --low-level-retries=3    9
#
# Ends with 0 when it is still so, with 1 when the behaviour has changed, with 2 when it cannot be tried here. Needs Debian 12
# on x86_64 with its package sources, and python3; everything is unpacked into a temporary folder, nothing is installed.
set -eu

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
cd "$work"
version=1.60.1+dfsg-2+b5

if ! apt-get download "rclone=$version" >/dev/null 2>&1; then
    echo "cannot be tried here: rclone $version from the package sources" >&2
    exit 2
fi
dpkg-deb -x rclone_*.deb root

cat >server.py <<'END'
import http.server
import os


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        if self.command == "MKCOL":
            with open("requests", "a") as log:
                log.write("MKCOL\n")
        self.send_response(503 if self.command == "MKCOL" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PROPFIND = do_MKCOL = do_PUT = do_DELETE = answer

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open("port.new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename("port.new", "port")
server.serve_forever()
END
python3 server.py &
server=$!
tries=0
while [ ! -f port ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || exit 2
    sleep 0.1
done

echo content >file
requests() {
    : >requests
    root/usr/bin/rclone --config=/dev/null --retries=1 --low-level-retries="$1" copyto file \
        ":webdav,url='http://127.0.0.1:$(cat port)':directory/file" >/dev/null 2>&1 || true
    wc -l <requests
}

root/usr/bin/rclone version 2>/dev/null | head -n 1
two=$(requests 2)
three=$(requests 3)
echo "--low-level-retries=2    $two"
echo "--low-level-retries=3    $three"
if [ "$two" -eq 4 ] && [ "$three" -eq 9 ]; then
    echo "as described"
else
    echo "the behaviour has changed" >&2
    exit 1
fi
