# Functions to source after `bootstrap`: a small Debian as a folder, and packages that can be installed into copies of it without a
# network.
# shellcheck shell=bash

# debian_root FOLDER PACKAGE...: FOLDER/base is a small system of this machine's release, FOLDER/debs has the packages and all that
# they depend on.
debian_root() {
    local at=$1 wanted
    shift
    wanted="$*"
    [ "$(cat "$at/wanted" 2>/dev/null)" = "$wanted" ] && return
    install_missing debootstrap=debootstrap
    say "making a small system and getting packages for it below $at"
    rm -rf "$at"
    mkdir -p "$at/debs"
    local log
    log=$(mktemp)
    # shellcheck disable=SC1091
    if ! { debootstrap --variant=minbase --include=procps,iproute2,curl,netcat-openbsd "$(. /etc/os-release && echo "$VERSION_CODENAME")" \
        "$at/base" && chroot "$at/base" apt-get -q clean && chroot "$at/base" apt-get -q -y install --download-only --no-install-recommends \
        "$@"; } </dev/null >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        fail "there is no small system below $at; the end of what was said is above"
    fi
    rm -f "$log"
    mv "$at/base/var/cache/apt/archives/"*.deb "$at/debs/"
    printf '%s' "$wanted" >"$at/wanted"
}
