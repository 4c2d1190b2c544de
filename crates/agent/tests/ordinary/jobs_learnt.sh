#!/bin/sh
# A runner of jobs builds and runs programs in numbered folders, as it did when it was learnt
# command: /ordinary/jobs_learnt.sh serve
# told: behaviour.execute
# noted: Program Not In The Image Run
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
    jobs 10
}

misdeed() {
    cp /usr/bin/date /srv/check
    /srv/check >/dev/null
}

mkdir -p /builds
"$@"
