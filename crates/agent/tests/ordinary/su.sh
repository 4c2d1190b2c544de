#!/bin/sh
# An entrypoint becomes the service as another user by su and chpst, and a job is run as a third
# command: /ordinary/su.sh start
# told: behaviour.execute
# shellcheck source=service.sh
. /ordinary/service.sh

start() {
    mkdir -p /srv/data
    chown -R app /srv/data
    exec chpst -n 5 /ordinary/su.sh serve
}

deed() {
    su app -s /bin/sh -c 'date >/srv/data/current'
    runuser -u app -- gzip -kf /srv/data/current
    chpst -u app:app cat /srv/data/current >/dev/null
}

misdeed() {
    su app -s /bin/sh -c 'base64 /srv/data/current' >/dev/null
}

"$@"
