#!/bin/sh
# The hashes of passwords are read where they were mounted
# kind: K5
# finds: Password Hashes Read, behaviour.read, behaviour.mount
# options: --cap-add SYS_ADMIN --security-opt apparmor=unconfined

learn() {
    touch /srv/a /srv/b
    control
}

control() {
    mount -o bind /etc/passwd /srv/a
    /act/act read /srv/a
}

evade() {
    mount -o bind /etc/shadow /srv/b
    /act/act read /srv/b
}

"$@"
