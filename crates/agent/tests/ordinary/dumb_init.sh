#!/bin/sh
# A service below dumb-init leaves orphans behind
# command: dumb-init -c -- /ordinary/dumb_init.sh serve
# told: behaviour.execute
# shellcheck source=service.sh
. /ordinary/service.sh

# Jobs outlive who started them, and are taken in by the first process.
deed() {
    (sh -c 'sleep 0.2; date >>/srv/log' &)
    (setsid sh -c 'sleep 0.1; gzip -c /srv/log >/srv/log.gz' &)
    sleep 0.5
}

misdeed() {
    (setsid sh -c 'sleep 0.1; base64 /srv/log' >/dev/null &)
    sleep 0.3
}

"$@"
