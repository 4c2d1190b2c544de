#!/bin/sh
# A service that never built anything runs fifty jobs in numbered folders: that is told once
# command: /ordinary/jobs_first.sh serve
# told: behaviour.execute, Program Not In The Image Run
# most: 16
# shellcheck source=service.sh
. /ordinary/service.sh

# Jobs in folders of their own, each with a number.
jobs() {
    for _ in $(seq "$1"); do
        number=$(($(cat /builds/last 2>/dev/null || echo 0) + 1))
        echo $number >/builds/last
        mkdir -p /builds/$number/target /builds/job-$number
        cp /usr/bin/date /builds/$number/target/check
        (cd /builds/$number && ./target/check >report-$number.xml)
        printf '#!/bin/sh\ndate >result\n' >/builds/job-$number/step.sh
        chmod 755 /builds/job-$number/step.sh
        (cd /builds/job-$number && ./step.sh)
    done
}

deed() {
    date >/srv/now
}

misdeed() {
    jobs 50
}

mkdir -p /builds
"$@"
