#!/bin/sh
# An entrypoint gives a user the numbers that the owner of a volume has, and all files to that user
# command: /ordinary/user_numbers.sh start serve
# told: Program Given Rights Of Its Owner
# noted: User Managed In Container
# shellcheck source=service.sh
. /ordinary/service.sh

start() {
    groupmod -o -g "${PGID:-1234}" app
    usermod -o -u "${PUID:-1234}" app
    for number in $(seq 200); do
        mkdir -p /srv/data/$((number % 20))
        echo x >/srv/data/$((number % 20))/"$number"
    done
    chown -R app:app /srv/data
    chmod -R go-w /srv/data
    exec gosu app "$0" "$1"
}

deed() {
    date >/srv/data/current
    chmod 640 /srv/data/current
}

misdeed() {
    cp /usr/bin/date /srv/data/program
    chmod 4755 /srv/data/program
}

"$@"
