# Functions to source after `bootstrap`: the stages of a run, one after the other or beside each other, and a table of what
# each took, printed at the end and kept in target/stages.tsv.
# shellcheck shell=bash

stages_at=$PWD/target/stages
stages_file=$PWD/target/stages.tsv
declare -A stages_beside=()

begin_stages() {
    mkdir -p "$stages_at"
    printf 'stage\tseconds\tcpu_seconds\tresult\n' >"$stages_file"
    at_exit end_stages
}

# measured NAME COMMAND...: runs it in a shell of its own, so that its end is not the script's, and notes what it took.
measured() {
    local name=$1 begin=$EPOCHREALTIME status=0 result before=$stages_at/before.$BASHPID after=$stages_at/after.$BASHPID
    shift
    times >"$before"
    ("$@") || status=$?
    times >"$after"
    case $status in 0) result=ok ;; 77) result=skipped ;; *) result=failed ;; esac
    # The second line of `times` is what ended children took, user and system: 1m2.345s 0m6.789s.
    awk -v OFS='\t' -v name="$name" -v result="$result" -v begin="$begin" -v end="$EPOCHREALTIME" '
        function seconds(time) { split(time, part, /[ms]/); return part[1] * 60 + part[2] }
        FNR == 2 { sum += (FILENAME == ARGV[1] ? -1 : 1) * (seconds($1) + seconds($2)) }
        END { print name, sprintf("%.1f", end - begin), sprintf("%.1f", sum), result }' "$before" "$after" >>"$stages_file"
    rm -f "$before" "$after"
    return "$status"
}

# stage NAME COMMAND...: runs it, and says how long it took. What ends with 77 cannot be done here, and says why.
stage() {
    local name=$1 begin=$SECONDS status=0
    shift
    say "$name"
    measured "$name" "$@" || status=$?
    case $status in
        0) say "$name: ok, $((SECONDS - begin)) s" ;;
        77) say "$name: skipped" ;;
        *) fail "$name failed after $((SECONDS - begin)) s" ;;
    esac
}

# beside NAME COMMAND...: runs it with what is left of the machine, while other stages go on; `join NAME` waits for it.
beside() {
    local name=$1
    shift
    say "$name: begins, beside what follows"
    measured "$name" chrt --idle 0 "$@" >"$stages_at/$name.log" 2>&1 &
    stages_beside[$name]=$!
}

join() {
    local name=$1 begin=$SECONDS status=0
    say "$name: waiting for its end"
    wait "${stages_beside[$name]}" || status=$?
    unset "stages_beside[$name]"
    cat "$stages_at/$name.log" >&2
    [ "$status" = 0 ] || fail "$name failed"
    say "$name: ok, $((SECONDS - begin)) s after all else"
}

# A stage that another one's failure left alone is ended with the script.
end_stages() {
    local name
    for name in "${!stages_beside[@]}"; do kill_tree "${stages_beside[$name]}"; done
    awk -F '\t' -v whole="$SECONDS" '
        NR > 1 { printf "    %-46s %6.0f s %6.0f s of CPU  %s\n", $1, $2, $3, $4 }
        END { printf "    %-46s %6.0f s\n", "all of it", whole }' "$stages_file" >&2
}

kill_tree() {
    local children=() child
    read -ra children 2>/dev/null <"/proc/$1/task/$1/children" || true
    for child in "${children[@]}"; do kill_tree "$child"; done
    kill "$1" 2>/dev/null || true
}
