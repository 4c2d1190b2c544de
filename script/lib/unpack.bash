# Functions to source after `bootstrap`: programs from packages that would start a service where they are installed.
# shellcheck shell=bash

# unpack FOLDER PACKAGE...: the packages' files below FOLDER, nothing installed.
unpack() {
    local to at
    to=$(realpath -m "$1")
    shift
    say "unpacking $* below ${to#"$PWD/"}"
    at=$(mktemp -d)
    update_package_lists
    (cd "$at" && apt_get -o APT::Sandbox::User=root download "$@") || fail "apt-get could not download $*"
    mkdir -p "$to"
    local package
    for package in "$at"/*.deb; do
        dpkg-deb -x "$package" "$to"
    done
    rm -r "$at"
}

# The shared libraries that a package names and that are not installed here.
missing_libraries() {
    apt-cache depends "$1" | sed -n 's/^ *Depends: \(lib[^<]*\)$/\1/p' | while read -r library; do
        is_installed "$library" || printf '%s\n' "$library"
    done
}
