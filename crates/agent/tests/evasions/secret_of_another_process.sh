#!/bin/sh
# The hashes of passwords are read by a descriptor that is taken from a process that has them open
# kind: K5
# finds: behaviour.read, Password Hashes Read
# options: --cap-add SYS_PTRACE

learn() {
    echo x >/srv/note
    sh -c "exec 3</etc/shadow 4</srv/note; exec sleep 100000" >/dev/null 2>&1 &
    echo $! >/srv/pid
    # It has both open before the control takes one.
    until [ -e "/proc/$!/fd/4" ]; do :; done
    control
}

control() {
    /act/act take "$(cat /srv/pid)" 4
}

evade() {
    /act/act take "$(cat /srv/pid)" 3
}

"$@"
