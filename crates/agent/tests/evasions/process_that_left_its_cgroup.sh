#!/bin/sh
# A shell moves itself out of the container's cgroup
# kind: K1
# finds: Process Left The Cgroup Of Its Container
# options: --cgroupns host --volume /sys/fs/cgroup:/c

# Where the host has its own hierarchy for memory, containers are known by that.
root=/c
[ -e /c/memory/cgroup.procs ] && root=/c/memory

own() {
    while IFS=: read -r _ kind path; do
        case "$kind" in memory | "") own=$path ;; esac
        [ "$kind" = memory ] && break
    done </proc/self/cgroup
}

learn() {
    control
}

# As an init in a container moves what it starts among cgroups below its own.
control() {
    own
    mkdir -p "$root$own/within"
    echo $$ >"$root$own/within/cgroup.procs"
    echo $$ >"$root$own/cgroup.procs" || true
}

evade() {
    echo $$ >"$root/cgroup.procs"
}

"$@"
