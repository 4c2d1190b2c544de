#!/bin/sh
# A job of cron is moved into place in a part of the host's tree, mounted at a place of no particular name
# kind: K5
# finds: Cron Job Planted, behaviour.write
# options: --volume /var:/srv/x --tmpfs /srv/own

learn() {
    mkdir -p /srv/x/spool/cron /srv/own/spool/cron
    control
}

control() {
    echo "# nothing" >/srv/own/note
    mv /srv/own/note /srv/own/spool/cron/ethogram-evasion
    rm /srv/own/spool/cron/ethogram-evasion
}

evade() {
    echo "# nothing" >/srv/x/tmp/ethogram-evasion-job
    mv /srv/x/tmp/ethogram-evasion-job /srv/x/spool/cron/ethogram-evasion
    rm /srv/x/spool/cron/ethogram-evasion
}

"$@"
