#!/bin/sh
# s6 supervises a service and its log, and starts again what ends
# command: /ordinary/s6.sh start
# restarted: each service has a tally of its deaths
# told: behaviour.execute
# shellcheck source=service.sh
. /ordinary/service.sh

start() {
    mkdir -p /run/service/app/log /run/service/worker /var/log/app
    chown app /var/log/app
    printf '#!/bin/sh\nexec 2>&1\nexec s6-setuidgid app /ordinary/s6.sh serve\n' >/run/service/app/run
    printf '#!/bin/sh\nexec s6-setuidgid app s6-log -b n3 s10000 T /var/log/app\n' >/run/service/app/log/run
    printf '#!/bin/sh\nexec s6-setuidgid app sleep 100000\n' >/run/service/worker/run
    chmod 755 /run/service/*/run /run/service/app/log/run
    chmod 777 /srv
    exec s6-svscan /run/service
}

# The worker and the log crash.
deed() {
    echo "a line of the log"
    pkill -x sleep
    pkill -x s6-log
    date >/srv/now
    sleep 1.2
}

misdeed() {
    printf '#!/bin/sh\nexec base64 /srv/now\n' >/srv/run
    chmod 755 /srv/run
    /srv/run >/dev/null
}

"$@"
