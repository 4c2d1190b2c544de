#!/bin/sh
# runit supervises services and their log, and starts again what ends
# command: /ordinary/runit.sh start
# told: behaviour.execute
# shellcheck source=service.sh
. /ordinary/service.sh

start() {
    for service in app worker; do
        mkdir -p /srv/service/$service/log /var/log/$service
        printf '#!/bin/sh\nexec svlogd -tt /var/log/%s\n' $service >/srv/service/$service/log/run
    done
    printf '#!/bin/sh\nexec 2>&1\nexec /ordinary/runit.sh serve\n' >/srv/service/app/run
    printf '#!/bin/sh\nexec chpst -u app:app sleep 100000\n' >/srv/service/worker/run
    chmod 755 /srv/service/*/run /srv/service/*/log/run
    exec runsvdir -P /srv/service
}

# The worker crashes, and is started anew by who looks after it.
deed() {
    echo "a line of the log"
    pkill -x sleep
    sv restart /srv/service/worker
}

misdeed() {
    chpst -u app:app base64 /etc/hostname >/dev/null
}

"$@"
