#!/usr/bin/env bash
# An entrypoint writes a configuration, fills a volume that is empty, and becomes its arguments
# command: /ordinary/entrypoint.sh start /ordinary/entrypoint.sh serve
# told: behaviour.execute
# shellcheck source=service.sh
. /ordinary/service.sh

start() {
    set -eo pipefail
    umask 027
    mkdir -p /srv/data /run/shop /etc/shop/conf.d
    printf 'listen @PORT@\nname @NAME@\n' | sed -e "s/@PORT@/${PORT:-8080}/" -e "s/@NAME@/$(hostname)/" >/etc/shop/shop.conf
    if [ ! -s /srv/data/version ]; then
        head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >/srv/data/seed
        chmod 600 /srv/data/seed
        for part in one two three; do echo "part $part" >"/etc/shop/conf.d/$part.conf"; done
        echo 1 >/srv/data/version
    fi
    find /srv/data ! -user app -exec chown app {} +
    chmod 755 /run/shop
    exec "$@"
}

# A backup with its date, and old ones are removed.
deed() {
    tar -czf "/srv/backup-$(date +%Y%m%d-%H%M%S).tar.gz" -C /srv data
    find /srv -name 'backup-*' -mtime +7 -delete
}

misdeed() {
    find /srv/data -name seed -exec base64 {} + >/dev/null
}

"$@"
