#!/bin/sh
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# systemd 252 (Debian 12): calendar expressions of timers, systemd.time(7).
#
# In autumn an hour comes twice, and a timer of every hour fires in one of the two. In which, depends on how its days are written. On
# 2027-10-31 in Berlin the hour from 02:00 comes first as 00:00 UTC and again as 01:00 UTC. "*-10-31 *:00" fires at 00:00 UTC and leaves
# 01:00 out. "*-10~01 *:00", the last day of October and thus the very same day, leaves 00:00 out and fires at 01:00: two hours pass between
# the second and the third time of that night, where the other one pauses an hour later. A timer of one time of day, 02:30, fires in the first of the
# two whichever way the day is written. Whoever computes when jobs meet one another on such a night has to know of it.
#
# Seen:
#   *-10-31 *:00   22:00 23:00 00:00 02:00
#   *-10~01 *:00   22:00 23:00 01:00 02:00
#   02:30          00:30 for both
#
# Ends with 0 when it is still so, with 1 when the behaviour has changed, with 2 when it cannot be tried here. Needs Debian 12
# on x86_64 with its package sources; everything is unpacked into a temporary folder, nothing is installed.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
version=252.39-1~deb12u2

if ! apt-get download "systemd=$version" "libsystemd-shared=$version" >/dev/null 2>&1; then
    echo "cannot be tried here: systemd $version from the package sources" >&2
    exit 2
fi
for package in *.deb; do
    dpkg-deb -x "$package" root
done
libraries=$work/root/usr/lib/x86_64-linux-gnu

elapses() {
    TZ=UTC LC_ALL=C LD_LIBRARY_PATH=$libraries/systemd:$libraries root/usr/bin/systemd-analyze calendar --iterations="$1" \
        --base-time="2027-10-02 00:00:00 UTC" "$2 Europe/Berlin" | grep -oE "..:..:00 UTC" | cut -c1-5 | tr '\n' ' '
}

LD_LIBRARY_PATH=$libraries/systemd:$libraries root/usr/bin/systemd-analyze --version | head -n 1
day=$(elapses 4 "*-10-31 *:00:00")
end=$(elapses 4 "*-10~01 *:00:00")
once="$(elapses 1 "*-10-31 02:30:00")$(elapses 1 "*-10~01 02:30:00")"
echo "*-10-31 *:00   $day"
echo "*-10~01 *:00   $end"
echo "02:30          $once"
if [ "$day" = "22:00 23:00 00:00 02:00 " ] && [ "$end" = "22:00 23:00 01:00 02:00 " ] && [ "$once" = "00:30 00:30 " ]; then
    echo "as described"
else
    echo "the behaviour has changed" >&2
    exit 1
fi
