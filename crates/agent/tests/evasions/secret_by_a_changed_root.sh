#!/bin/sh
# The folder of a secret is made the root of the program that reads it
# kind: K5
# finds: behaviour.read, Password Hashes Read

learn() {
    mkdir -p /etc/bin /srv/etc/bin
    cp /bin/busybox /etc/bin/cat
    cp /bin/busybox /srv/etc/bin/cat
    echo x >/etc/shadow
    echo x >/srv/etc/note
    control
}

control() {
    chroot /srv/etc /bin/cat /note
}

evade() {
    chroot /etc /bin/cat /shadow
}

"$@"
