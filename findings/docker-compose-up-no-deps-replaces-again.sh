#!/bin/sh
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Docker Compose 2.26.1 on Engine 20.10.24.
#
# `docker compose up --no-deps SERVICE` is how one updates a single service without touching its database (community.docker's
# `dependencies: false` is the same). Compose then takes the service's `depends_on` away before it computes the hash of its
# configuration, and writes that hash into the new container's label. So the container is replaced although nothing has
# changed, and the next plain `docker compose up` finds another hash and replaces it once more, again with nothing changed.
# What lay in its writable layer is gone both times.
#
# Here two services are started, then `up --no-deps` and a plain `up` follow with the very same files.
#
# Seen:
#   up:            the same container
#   up --no-deps:  another container
#   up:            another container
#
# Ends with 0 when it is still so, with 1 when the behaviour has changed, with 2 when it cannot be tried here. Needs a Docker
# Engine (DOCKER_HOST), docker compose, and an image with `sleep` on that engine, named in IMAGE (busybox by default).
set -eu

image=${IMAGE:-busybox}
docker compose version >/dev/null 2>&1 && docker image inspect "$image" >/dev/null 2>&1 || {
    echo "cannot be tried here" >&2
    exit 2
}
work=$(mktemp -d)
cat >"$work/compose.yml" <<YAML
name: no-deps-finding
services:
  db: {image: "$image", pull_policy: never, command: [sleep, "1000"], stop_grace_period: 0s}
  api: {image: "$image", pull_policy: never, command: [sleep, "1000"], stop_grace_period: 0s, depends_on: [db]}
YAML
compose() { docker compose -f "$work/compose.yml" "$@" 2>/dev/null; }
trap 'compose down --timeout 0; rm -rf "$work"' EXIT

compose up --detach
last=$(compose ps -q api)
changed=0
look() {
    now=$(compose ps -q api)
    if [ "$now" = "$last" ]; then
        echo "$1 the same container"
    else
        echo "$1 another container"
        changed=$((changed + 1))
    fi
    last=$now
}
compose up --detach api
look "up:           "
compose up --detach --no-deps api
look "up --no-deps: "
compose up --detach
look "up:           "
[ "$changed" = 2 ]
