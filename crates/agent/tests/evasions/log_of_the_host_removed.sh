#!/bin/sh
# A log of the host is removed in a part of its tree, mounted at a place of no particular name
# kind: K5
# finds: Log Removed
# options: --volume /var/log:/srv/x --tmpfs /srv/own

learn() {
    control
}

control() {
    mkdir -p /srv/own/var/log
    echo x >/srv/own/var/log/user.log
    rm /srv/own/var/log/user.log
}

evade() {
    mkdir -p /srv/x/ethogram-evasion
    echo x >/srv/x/ethogram-evasion/user.log
    rm /srv/x/ethogram-evasion/user.log
    rmdir /srv/x/ethogram-evasion
}

"$@"
