#!/bin/sh
# A service runs from an image that has no name
# image: none
# command: /ordinary/image_without_tag.sh serve
# told: behaviour.execute
# shellcheck source=service.sh
. /ordinary/service.sh

deed() {
    date >/srv/now
}

misdeed() {
    base64 /srv/now >/dev/null
}

"$@"
