#!/bin/sh
# A folder with keys that may log in is moved into place
# kind: K5
# finds: Authorized SSH Keys Changed, behaviour.write

learn() {
    mkdir -p /srv/keys
    echo x >/srv/keys/authorized_keys
    control
}

control() {
    mv /srv/keys /srv/other
    mv /srv/other /srv/keys
}

evade() {
    mv /srv/keys /root/.ssh
}

"$@"
