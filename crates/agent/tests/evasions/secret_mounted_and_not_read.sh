#!/bin/sh
# The hashes of passwords are mounted where another program would read them
# kind: K5
# finds: behaviour.read
# options: --cap-add SYS_ADMIN --security-opt apparmor=unconfined

learn() {
    touch /srv/a /srv/b
    control
}

control() {
    mount -o bind /etc/passwd /srv/a
}

evade() {
    mount -o bind /etc/shadow /srv/b
}

"$@"
