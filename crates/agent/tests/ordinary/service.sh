# What all the services here do: what they are told to, one deed after the other.
# shellcheck shell=sh

# A service that is there to do deeds: functions of the script.
serve() {
    echo ready >/orders/done
    while read -r deed </orders/next; do
        if "$deed"; then echo "$deed" >/orders/done; else echo "failed: $deed" >/orders/done; fi
    done
}
