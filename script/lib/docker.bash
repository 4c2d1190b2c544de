# Functions to source after `bootstrap`: a Docker daemon for as long as the script runs, where none runs yet.
# shellcheck shell=bash

docker_answers() { timeout 20 docker version >/dev/null 2>&1; }

# A daemon that was killed leaves pid files behind, and a new one refuses to start where such a number is in use again.
forget_dead_daemon() {
    local file
    for file in /var/run/docker.pid /var/run/docker/containerd/containerd.pid; do
        [ -e "$file" ] || continue
        case "$(cat "/proc/$(cat "$file")/comm" 2>/dev/null)" in
            dockerd | containerd) ;;
            *) rm -f "$file" ;;
        esac
    done
}

start_docker() {
    docker_answers && return
    say "starting dockerd (its log: target/dockerd.log)"
    mkdir -p target
    forget_dead_daemon
    # In a session of its own: Ctrl-C is for the script, which still has containers to remove.
    setsid dockerd >target/dockerd.log 2>&1 </dev/null &
    dockerd=$!
    at_exit stop_docker
    for _ in $(seq 120); do
        docker_answers && return
        kill -0 "$dockerd" 2>/dev/null || break
        sleep 0.5
    done
    tail -n 20 target/dockerd.log >&2
    fail "dockerd did not come up; the end of its log is above"
}

stop_docker() {
    kill "$dockerd" 2>/dev/null || return 0
    wait "$dockerd" || true
}
