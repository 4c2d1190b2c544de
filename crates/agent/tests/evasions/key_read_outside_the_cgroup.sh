#!/bin/sh
# A shell leaves the container's cgroup, and what it starts then reads a key
# kind: K1
# finds: behaviour.read
# options: --cgroupns host --volume /sys/fs/cgroup:/c

root=/c
[ -e /c/memory/cgroup.procs ] && root=/c/memory

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    /act/act read /srv/note
}

evade() {
    echo $$ >"$root/cgroup.procs"
    /act/act read /srv/one.key
}

"$@"
