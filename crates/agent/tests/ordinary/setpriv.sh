#!/bin/sh
# An entrypoint becomes the service as another user in the manner of su-exec
# command: /ordinary/setpriv.sh start serve
# told: behaviour.execute
# shellcheck source=service.sh
. /ordinary/service.sh

start() {
    install -d -o app -g app -m 750 /srv/data /run/app
    if [ "$(id -u)" = 0 ]; then
        exec setpriv --reuid=app --regid=app --init-groups -- "$0" start "$1"
    fi
    exec "$0" "$1"
}

deed() {
    date >/srv/data/current
    touch /run/app/alive
}

misdeed() {
    base64 /srv/data/current >/dev/null
}

"$@"
