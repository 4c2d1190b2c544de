#!/bin/sh
# A program that is no part of the image has size, times and owner of one that is
# kind: K5
# finds: behaviour.execute, Program Installed In The Container Run

learn() {
    cat /etc/passwd
}

control() {
    # The same program, of which only the owner changed.
    chown 0:33 /bin/busybox
    cat /etc/passwd
}

evade() {
    cp -p /bin/busybox /bin/busybox2
    /bin/busybox2 cat /etc/passwd
}

"$@"
