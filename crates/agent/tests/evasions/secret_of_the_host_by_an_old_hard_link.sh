#!/bin/sh
# A secret of the host is read by another name that it had before the profile was learnt
# kind: K5
# finds: Password Hashes Read, behaviour.read
# options: --volume /:/srv/x

learn() {
    ln -f /srv/x/etc/shadow /srv/x/var/tmp/ethogram-evasion-old-link
    control
}

control() {
    cat /srv/x/etc/hostname
}

evade() {
    cat /srv/x/var/tmp/ethogram-evasion-old-link
    rm /srv/x/var/tmp/ethogram-evasion-old-link
}

"$@"
