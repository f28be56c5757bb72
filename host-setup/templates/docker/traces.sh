#!/bin/sh
# What Docker leaves on a host besides its packages. Arguments: record|stop|clean, and the folder of the record.
set -eu
export LC_ALL=C
verb=$1 folder=$2

paths='/var/lib/docker /var/lib/containerd /opt/containerd /run/docker /run/docker.sock /run/containerd'

# Only Docker's own chains: a container node has DOCKER_OUTPUT, which is the name server of the engine that runs it.
own='DOCKER|DOCKER-USER|DOCKER-FORWARD|DOCKER-BRIDGE|DOCKER-CT|DOCKER-INTERNAL|DOCKER-ISOLATION-STAGE-1|DOCKER-ISOLATION-STAGE-2'
clear_tables() {
    for program in iptables ip6tables; do
        command -v "$program" >/dev/null 2>&1 || continue
        for table in raw nat filter; do
            "$program" -t "$table" -S 2>/dev/null | grep -E -- " (-j|-g) ($own)( |\$)| (-i|-o) ($1)( |\$)" |
                sed -n 's/^-A/-D/p' | while read -r rule; do echo "$rule" | xargs "$program" -t "$table" || true; done
            "$program" -t "$table" -S 2>/dev/null | grep -E -- "^-N ($own)\$" | while read -r _ chain; do
                "$program" -t "$table" -F "$chain"
                "$program" -t "$table" -X "$chain" || true
            done
        done
    done
}

case $verb in
    record)
        mkdir -p "$folder"
        [ ! -f "$folder/traces" ] || exit 0
        {
            for path in $paths /etc/docker /etc/docker/key.json; do
                [ -e "$path" ] && echo "path $path"
            done
            echo "forwarding $(cat /proc/sys/net/ipv4/ip_forward)"
            policy=$(iptables -S FORWARD 2>/dev/null | sed -n 's/^-P FORWARD //p') || true
            echo "policy ${policy:-ACCEPT}"
            getent group docker >/dev/null && echo 'group docker'
        } >"$folder/traces.partial" || true
        mv "$folder/traces.partial" "$folder/traces"
        ;;
    stop)
        bridges=docker0
        if [ "$(systemctl is-active docker.service)" = active ]; then
            running=$(docker ps --quiet)
            # With live-restore they would go on without a daemon.
            # shellcheck disable=SC2086 # container ids, each a word
            [ -z "$running" ] || docker stop $running >/dev/null
            [ -n "$(docker ps --all --quiet)$(docker image ls --quiet)$(docker volume ls --quiet)" ] || : >"$folder/disposable"
            for id in $(docker network ls --quiet --filter driver=bridge); do bridges="$bridges|br-$id"; done
        fi
        systemctl stop docker.socket docker.service 2>/dev/null || true
        [ -f "$folder/traces" ] || exit 0
        clear_tables "$bridges"
        for bridge in $(echo "$bridges" | tr '|' ' '); do ip link delete "$bridge" 2>/dev/null || true; done
        policy=$(sed -n 's/^policy //p' "$folder/traces")
        ! command -v iptables >/dev/null 2>&1 || iptables -P FORWARD "$policy"
        sed -n 's/^forwarding //p' "$folder/traces" >/proc/sys/net/ipv4/ip_forward || true
        ;;
    clean)
        [ -f "$folder/traces" ] || exit 0
        for path in $paths; do
            if [ ! -e "$path" ] || grep -qx "path $path" "$folder/traces"; then continue; fi
            case $path in
                /run/*) ;;
                *) [ -f "$folder/disposable" ] || { echo "kept $path: there is data in it"; continue; } ;;
            esac
            case $path in
                *containerd) [ "$(systemctl is-active containerd)" != active ] || { echo "kept $path: containerd runs"; continue; } ;;
            esac
            if awk -v path="$path" 'index($5 "/", path "/") == 1 {found = 1} END {exit !found}' /proc/self/mountinfo; then
                echo "kept $path: something is mounted there"
            else
                rm -rf --one-file-system "$path"
            fi
        done
        # The daemon's identity for signed images, which docker.io 20.10 makes.
        [ ! -f "$folder/disposable" ] || grep -qx 'path /etc/docker/key.json' "$folder/traces" || rm -f /etc/docker/key.json
        grep -qx 'path /etc/docker' "$folder/traces" || rmdir /etc/docker 2>/dev/null || true
        if ! grep -qx 'group docker' "$folder/traces" && getent group docker >/dev/null; then groupdel docker || true; fi
        rm -f "$folder/traces" "$folder/disposable"
        ;;
esac
