# What all the services here do: what they are told to, one deed after the other.
# shellcheck shell=sh

# A service that is there to do deeds: functions of the script.
serve() {
    echo ready >/orders/done
    while read -r deed </orders/next; do
        if "$deed"; then echo "$deed" >/orders/done; else echo "failed: $deed" >/orders/done; fi
    done
}

# Jobs outlive who started them, and are taken in by the first process.
leave_orphans() {
    (sh -c 'sleep 0.2; date >>/srv/log' &)
    (setsid sh -c 'sleep 0.1; gzip -c /srv/log >/srv/log.gz' &)
    sleep 0.5
}

# Another program than ever before is among them.
leave_another_orphan() {
    (setsid sh -c 'sleep 0.1; base64 /srv/log' >/dev/null &)
    sleep 0.3
}

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
