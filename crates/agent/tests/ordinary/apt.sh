#!/bin/sh
# An entrypoint installs packages, and a job upgrades them
# command: /ordinary/apt.sh start serve
# told: behaviour.execute, Program Installed In The Container Run
# noted: Package Installed In Container, Program Installed In The Container Run
# shellcheck source=service.sh
. /ordinary/service.sh
export DEBIAN_FRONTEND=noninteractive

start() {
    apt-get -q update && apt-get -q install -y --no-install-recommends hello=1.0
    hello
    exec "$0" "$1"
}

deed() {
    apt-get -q update
    apt-get -q upgrade -y
    hello
    apt-get -q install -y --allow-downgrades hello=1.0
}

misdeed() {
    dpkg --install /opt/packages/other_1.0_all.deb
    other
}

"$@"
