# Functions to source after `bootstrap`: other kernels, booted in software emulation.
# shellcheck shell=bash

# Suites of Debian's archive that carry cloud kernels.
kernel_suites=(bullseye-security bookworm-security bookworm-backports trixie-backports)
kernels_at=$PWD/target/kernels

# --- Kernels --------------------------------------------------------------------------------------------------------

# The mirror that this machine uses for Debian's main archive, or for its security updates.
configured_uris() {
    find /etc/apt/sources.list* \( -name '*.list' -o -name '*.sources' \) -exec cat {} + |
        sed -n -e 's/^URIs:[[:space:]]*//p' -e 's/^deb[[:space:]]\{1,\}\(\[[^]]*\][[:space:]]*\)\?\([^[:space:]]*\).*/\2/p' |
        tr ' ' '\n' | sed 's:/*$::' | sort -u
}
main_mirror() { configured_uris | sed -n '\:/debian$:{p;q}'; }
security_mirror() { configured_uris | sed -n '\:/debian-security$:{p;q}'; }

# apt of another release than this machine's: with lists, cache and sources of its own, and nothing of what is installed.
foreign_apt() {
    local tool=$1
    shift
    "$tool" -q -o "Dir::Etc::sourcelist=$kernels_at/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferencesparts=/dev/null -o "Dir::State=$kernels_at/apt/state" -o "Dir::State::status=$kernels_at/apt/status" \
        -o "Dir::Cache=$kernels_at/apt/cache" -o APT::Architecture=amd64 -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Check-Valid-Until=false "$@"
}

update_foreign_lists() {
    [ -n "${foreign_lists_are_new-}" ] && return
    local suite mirror
    mkdir -p "$kernels_at"/apt/state/lists/partial "$kernels_at"/apt/cache/archives/partial
    : >"$kernels_at/apt/status"
    : >"$kernels_at/apt/sources.list"
    [ -n "$(main_mirror)" ] || fail "no source in /etc/apt names a mirror of Debian: the kernels of the tests come from there"
    for suite in "${kernel_suites[@]}"; do
        mirror=$(main_mirror)
        case $suite in *-security) mirror=$(security_mirror | grep . || echo "$mirror-security") ;; esac
        printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" >>"$kernels_at/apt/sources.list"
    done
    foreign_apt apt-get update >"$kernels_at/apt/log" 2>&1 || { tail -n 20 "$kernels_at/apt/log" >&2; fail "apt-get could not read the suites ${kernel_suites[*]}"; }
    foreign_lists_are_new=yes
}

# The releases that the suites carry, oldest first: 6.1.0-56-cloud-amd64.
carried_releases() {
    foreign_apt apt-cache search --names-only '^linux-image-[0-9][^ ]*-cloud-amd64$' |
        sed -n 's/^linux-image-\([0-9]*\.[0-9]*\.[0-9][^ ]*-cloud-amd64\) .*/\1/p' | sort -V
}

# newest_release KERNEL: its newest release, or where the suites do not carry it any more, that of the next kernel.
newest_release() {
    local kernel=$1 release series
    release=$(carried_releases | sed -n "/^${kernel//./\\.}\./h; \${x;p}")
    if [ -z "$release" ]; then
        series=$(carried_releases | cut -d. -f1,2 | sort -uV | 
            while read -r series; do if is_at_least "$kernel" "$series"; then echo "$series"; fi; done | sed -n 1p)
        [ -n "$series" ] || return 1
        say "WARNING: none of the suites carries a kernel $kernel any more; its place takes $series"
        release=$(carried_releases | sed -n "/^${series//./\\.}\./h; \${x;p}")
    fi
    printf '%s\n' "$release"
}

# unpack_foreign INTO PACKAGE OTHER LOG: the files of a package of those suites, or where they have none of that name, of the other.
unpack_foreign() {
    local into=$1 package=$2 log=$4
    foreign_apt apt-cache show "$package" >/dev/null 2>&1 || package=$3
    say "downloading $package"
    rm -rf "$into"
    mkdir -p "$into"
    (cd "$into" && foreign_apt apt-get download "$package") >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "apt-get could not download $package"; }
    dpkg -x "$into"/*.deb "$into"
}

# fetch_kernel KERNEL: its image, as target/kernels/KERNEL/vmlinuz. What is there stays, until someone removes it.
fetch_kernel() {
    local kernel=$1 at=$kernels_at/$1 release
    [ -s "$at/vmlinuz" ] && return
    update_foreign_lists
    release=$(newest_release "$kernel") || fail "no suite of ${kernel_suites[*]} carries a kernel $kernel or a newer one"
    rm -rf "$at"
    mkdir -p "$at"
    # Newer packages have the image itself apart.
    unpack_foreign "$at/package" "linux-binary-$release" "linux-image-$release" "$at/log"
    mv "$(find "$at/package" -name "vmlinuz*" -type f)" "$at/vmlinuz"
    echo "$release" >"$at/release"
    rm -r "$at/package"
}

# fetch_module KERNEL NAME: one of its modules, as target/kernels/KERNEL/NAME.ko.
fetch_module() {
    local name=$2 at=$kernels_at/$1 release file
    [ -s "$at/$name.ko" ] && return
    update_foreign_lists
    release=$(cat "$at/release")
    unpack_foreign "$at/modules" "linux-modules-$release" "linux-image-$release" "$at/log"
    file=$(find "$at/modules" -name "$name.ko*" -type f)
    case $file in
        *.xz) xz -dc "$file" >"$at/$name.ko" ;;
        ?*) cp "$file" "$at/$name.ko" ;;
        *) fail "the packages of $release have no module $name" ;;
    esac
    rm -r "$at/modules"
}

# --- What runs in a guest -------------------------------------------------------------------------------------------

# copy PATH...: a file of this machine, and the libraries that it names, into the guests' root.
copy() {
    local file
    for file; do
        [ -e "$root$file" ] && continue
        mkdir -p "$root$(dirname "$file")"
        cp -L "$file" "$root$file"
        { ldd "$file" 2>/dev/null || true; } | sed -n 's:^[^/]*\(/[^ ]*\) (.*:\1:p' | while read -r library; do
            if [ ! -e "$root$library" ]; then
                mkdir -p "$root$(dirname "$library")"
                cp -L "$library" "$root$library"
            fi
        done
    done
}

# The files of the interpreter that /usr/bin/python3 is, without what no test needs.
python_files() {
    local python
    python=$(basename "$(readlink -f /usr/bin/python3)")
    for package in "$python-minimal" "lib$python-minimal" "lib$python-stdlib"; do
        dpkg -L "$package" 2>/dev/null || true
    done | grep -E "^/usr/(bin/|lib/$python/)" | grep -vE "/(test|idlelib|lib2to3|pydoc_data|ensurepip|distutils|config-[^/]*)/"
}

# new_guest_root FOLDER: what every guest needs; `copy` adds to it. The guest runs its file /main, a shell script.
new_guest_root() {
    local name file
    root=$1
    rm -rf "$root"
    mkdir -p "$root"/usr/{bin,sbin,lib,lib64,busybox} "$root"/etc
    for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
    cp script/lib/guest-init "$root/init"
    copy /usr/bin/busybox
    python_files | while read -r file; do
        if [ -f "$file" ]; then copy "$file"; fi
    done
    ln -sf "$(basename "$(readlink -f /usr/bin/python3)")" "$root/usr/bin/python3"
    echo guest >"$root/etc/hostname"
    echo '127.0.0.1 localhost guest' >"$root/etc/hosts"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
}

# pack FOLDER...: as an initramfs, to stdout. Several are one after the other.
pack() {
    local folder
    for folder; do (cd "$folder" && find . | cpio --quiet -o -H newc); done
}

# What `boot_guest` emulates, and more of the kernel's command line.
guest_cpu=max
guest_memory=2048
guest_parameters=

# boot_guest KERNEL INITRAMFS AT SECONDS [QEMU OPTION]...: AT/results is then what it told, AT/console what the kernel did. A
# guest that has not ended by then hangs, and is ended.
boot_guest() {
    local kernel=$1 initramfs=$2 at=$3 seconds=$4
    shift 4
    : >"$at/results"
    timeout -k 10 "$seconds" qemu-system-x86_64 -M q35 -accel tcg,thread=single -cpu "$guest_cpu" -m "$guest_memory" -smp 1 \
        -display none -monitor none -nodefaults -no-reboot -pidfile "$at/pid" \
        -serial "file:$at/console" -serial "file:$at/results" -kernel "$kernels_at/$kernel/vmlinuz" -initrd "$initramfs" \
        -append "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off random.trust_cpu=on lsm=landlock,lockdown,capability,bpf $guest_parameters" \
        "$@" </dev/null >"$at/qemu" 2>&1 || echo "@@ qemu ended with $?" >>"$at/results"
}
