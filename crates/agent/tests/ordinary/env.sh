#!/usr/bin/env -S sh
# A service is started by env, and runs its jobs in a clean environment
# command: /usr/bin/env MODE=production nice -n 5 /ordinary/env.sh serve
# told: behaviour.execute
# shellcheck source=service.sh
. /ordinary/service.sh

deed() {
    env -i PATH="$PATH" TZ=UTC date >/srv/now
    env -u MODE sh -c 'gzip -f /srv/now'
}

misdeed() {
    env -i PATH="$PATH" base64 /srv/now.gz >/dev/null
}

"$@"
