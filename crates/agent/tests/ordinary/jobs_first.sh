#!/bin/sh
# A service that never built anything runs fifty jobs in numbered folders: that is told once
# command: /ordinary/jobs_first.sh serve
# told: behaviour.execute, Program Not In The Image Run
# most: 16
# shellcheck source=service.sh
. /ordinary/service.sh

deed() {
    date >/srv/now
}

misdeed() {
    jobs 50
}

mkdir -p /builds
"$@"
