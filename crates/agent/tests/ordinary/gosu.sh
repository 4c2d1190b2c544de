#!/bin/sh
# An entrypoint gives a volume to a user, and becomes the service as that user by gosu
# command: /ordinary/gosu.sh start serve
# told: behaviour.execute
# shellcheck source=service.sh
. /ordinary/service.sh

start() {
    mkdir -p /srv/data/archive
    for number in 1 2 3 4 5 6 7 8 9; do echo x >/srv/data/archive/$number; done
    chown -R app:app /srv/data
    chmod -R u=rwX,g=rX,o= /srv/data
    exec gosu app "$0" "$1"
}

# As a database does: written anew, then renamed.
deed() {
    date >/srv/data/new
    mv /srv/data/new /srv/data/current
}

misdeed() {
    base64 /srv/data/current >/dev/null
}

"$@"
