#!/bin/sh
# A runner of jobs builds and runs programs in numbered folders, as it did when it was learnt
# command: /ordinary/jobs_learnt.sh serve
# told: behaviour.execute
# noted: Program Not In The Image Run
# shellcheck source=service.sh
. /ordinary/service.sh

deed() {
    jobs 10
}

misdeed() {
    cp /usr/bin/date /srv/check
    /srv/check >/dev/null
}

mkdir -p /builds
"$@"
