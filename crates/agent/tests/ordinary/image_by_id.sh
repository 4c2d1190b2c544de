#!/bin/sh
# A service that was deployed by the name of an image is deployed by the id of that image
# image: id
# command: /ordinary/image_by_id.sh serve
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
