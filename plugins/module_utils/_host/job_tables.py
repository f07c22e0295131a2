# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which programs are known: those that call others, shells and interpreters, harmless ones, and the shop's own scripts."""

from __future__ import annotations

from typing import Mapping, Tuple

from .job_verdict import DELETES_BACKUPS, PRUNES_DOCKER, RESTARTS_SERVICES

# What the shop's own scripts do, whatever a job calls them by and whatever can be read of them.
SCRIPTS: Mapping[str, Tuple[str, ...]] = {
    "run_maintenance_tasks.sh": (DELETES_BACKUPS, PRUNES_DOCKER),
    "rotate_backups.sh": (DELETES_BACKUPS,),
    "disk_alert.sh": (DELETES_BACKUPS, PRUNES_DOCKER),
    "monitor_services.sh": (RESTARTS_SERVICES,),
    "exit_maintenance.sh": (RESTARTS_SERVICES,),
}
# Others have one of this name, too: it counts only where it is the shop's. It ends by running the rotation, which counts
# where its text cannot be seen.
BACKUP_SCRIPT = "backup.sh"
# Scripts of the shop that remove no backups, although they name the directory and remove what they have made.
HARMLESS_SCRIPTS = frozenset("healthcheck.sh sec_audit.sh test_backup.sh enter_maintenance.sh logs_collect.sh".split())

# Programs that call another one: their options that take an argument, and how many operands stand before its name.
WRAPPERS: Mapping[str, Tuple[str, int]] = {
    "sudo": ("-u --user -g --group -p --prompt -C -h --host -D --chdir -R --chroot -r -t -T", 0),
    "doas": ("-u -C", 0),
    "nice": ("-n --adjustment", 0),
    "ionice": ("-c --class -n --classdata", 0),
    "chrt": ("-T -P -D", 1),
    "taskset": ("", 1),
    "nohup": ("", 0),
    "setsid": ("", 0),
    "time": ("-f --format -o --output", 0),
    "timeout": ("-k --kill-after -s --signal", 1),
    "stdbuf": ("-i -o -e --input --output --error", 0),
    "flock": ("-w --wait --timeout -E --conflict-exit-code", 1),
    "chronic": ("", 0),
    "cronic": ("", 0),
    "exec": ("-a", 0),
    "builtin": ("", 0),
    "run-one": ("", 0),
    "busybox": ("", 0),
    "setpriv": ("--reuid --regid --groups --inh-caps --bounding-set", 0),
    "systemd-cat": ("-t --identifier -p --priority --stderr-priority", 0),
    "systemd-inhibit": ("--what --who --why --mode", 0),
    "systemd-run": (
        "-u --unit -p --property --description --slice --uid --gid --nice --working-directory -E --setenv --on-calendar "
        "--on-active --on-boot -M -H",
        0,
    ),
    "watch": ("-n --interval", 0),
    "strace": ("-o -e -p -s", 0),
    "runitor": ("-uuid -slug -ping-key -api-url", 0),
    "cronitor": ("", 2),
    "lckdo": ("-W", 1),
    "caffeinate": ("-t -w", 0),
    "sg": ("", 1),
    "unbuffer": ("", 0),
    "dotenv": ("-e -f", 0),
}
SHELLS = frozenset("sh bash dash ash zsh ksh mksh rbash".split())
CODE: Mapping[str, str] = {  # interpreters: the options with a program's text
    **dict.fromkeys("python python2 python3".split(), "-c"),
    **dict.fromkeys("node nodejs bun deno tsx ts-node ruby".split(), "-e --eval -p --print"),
    "perl": "-e -E",
    "php": "-r",
}

# Programs that remove nothing that matters here, whatever their words.
HARMLESS = frozenset(
    """
    : true false test [ echo printf set shift return exit break continue alias unalias ulimit umask wait shopt hash let getopts
    type times unset declare logger mail mailx mutt sendmail msmtp s-nail wall write notify-send date sleep env printenv hostname
    hostnamectl uptime uname id whoami who w last groups getent stat file du df free ps pgrep top vmstat iostat sar lsof lsblk mount
    umount findmnt blkid ss netstat ip ping dig host nslookup nc ncat curl wget http ssh-keyscan scp sftp lftp ftp openssl gpg
    gpgv age sha256sum sha1sum sha512sum md5sum cksum cmp diff gzip gunzip zcat bzip2 xz zstd lz4 pigz unpigz zip unzip 7z cpio split
    cp install mkdir rmdir mktemp touch ln chmod chown chgrp setfacl getfacl chattr lsattr basename dirname realpath readlink
    pwd wc tty seq yes expr bc jq yq xmllint less more od xxd strings sync dd fallocate run-parts anacron
    journalctl loginctl timedatectl systemd-analyze systemd-tmpfiles systemd-notify systemd-escape crontab apt apt-get apt-key aptitude dpkg
    dpkg-query dnf yum rpm zypper apk snap unattended-upgrade unattended-upgrades needrestart mongodump mongoexport mongostat mongotop
    bsondump mongofiles pg_dump pg_dumpall psql vacuumdb mysqldump mysql redis-cli sqlite3 certbot acme.sh lego freshclam clamscan rkhunter
    chkrootkit lynis aide debsecan fail2ban-client ufw iptables nft awstats goaccess smartctl mdadm fstrim hdparm sensors ntpdate chronyc
    hwclock updatedb mandb man-db locale-gen ldconfig debian-sa1 debian-sa2 sa1 sa2 popularity-contest geoipupdate
    ansible-playbook ansible ansible-pull gcloud az b2 svn hg tput clear figlet column script at batch
    """.split()
)
