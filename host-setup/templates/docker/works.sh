#!/bin/sh
# Whether Docker works here, tried with real containers; no network is needed: the image is this host's own sh and sleep.
# Prints `check<TAB>yes|no|skipped<TAB>detail` lines and removes what it made. Argument: `restart` to try live-restore too.
set -u
export LC_ALL=C
label=io.kubelab.works-test
image=kubelab/works-test:1

say() { printf '%s\t%s\t%s\n' "$1" "$2" "$3"; }
expect() { if [ "$2" = "$3" ]; then say "$1" yes "$2"; else say "$1" no "$2, not $3"; fi; }
remove() {
    # shellcheck disable=SC2046 # container ids, each a word
    docker rm --force $(docker ps --all --quiet --filter "label=$label") >/dev/null 2>&1
    docker image rm "$image" >/dev/null 2>&1
}
if ! said=$(docker info --format '{{.ServerVersion}}' 2>&1); then
    say daemon no "$said"
    exit 0
fi
say daemon yes "$said"
remove
trap remove EXIT

programs="$(command -v sh) $(command -v sleep)"
libraries=$(for program in $programs; do ldd "$program"; done | grep -o '/[^ ]*' | sort -u)
# shellcheck disable=SC2046,SC2086 # paths, each a word
if ! said=$(tar --create --dereference --directory / $(for file in $programs $libraries; do echo "${file#/}"; done) |
    docker import - "$image" 2>&1); then
    say image no "$said"
    exit 0
fi
say image yes "${said#sha256:}"
shell=${programs% *}
said=$(docker run --rm --label "$label" "$image" "$shell" -c 'echo it runs; exit 7' 2>&1)
expect status "$?" 7
expect output "$said" 'it runs'
id=$(docker run --detach --label "$label" "$image" "${programs#* }" 600 2>&1) || { say start no "$id"; exit 0; }
look() { docker inspect --format "$1" "$id" 2>/dev/null; }
address=$(look '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}')
if [ -n "$address" ]; then say address yes "$address"; else say address no 'the container has no address'; fi
expect log_driver "$(look '{{.HostConfig.LogConfig.Type}}')" json-file
expect log_max_size "$(look '{{index .HostConfig.LogConfig.Config "max-size"}}')" 100m
expect log_max_file "$(look '{{index .HostConfig.LogConfig.Config "max-file"}}')" 3
expect cgroup_driver "$(docker info --format '{{.CgroupDriver}}')" systemd
pid=$(look '{{.State.Pid}}')
scope=$(sed -n 's/.*:\(.*docker-.*\.scope\)$/\1/p' "/proc/$pid/cgroup" | head -n 1)
if [ -n "$scope" ]; then say cgroup_scope yes "${scope%/*}/docker-….scope"; else say cgroup_scope no "$(head -n 1 "/proc/$pid/cgroup")"; fi
case $(docker info --format '{{json .RegistryConfig.IndexConfigs}}') in
    *'"localhost:5000":{"Name":"localhost:5000","Mirrors":'*'"Secure":false'*) say insecure_registry yes localhost:5000 ;;
    *) say insecure_registry no 'localhost:5000 is not there' ;;
esac
if [ "$(docker info --format '{{.LiveRestoreEnabled}}')" != true ]; then
    say live_restore no 'the daemon says that it is off'
elif [ "${1:-}" != restart ]; then
    say live_restore skipped 'the daemon was not to be restarted'
else
    # A unit that was started three times within a minute is not started again.
    systemctl reset-failed docker.service
    systemctl restart docker
    expect live_restore "process $(look '{{.State.Pid}}')" "process $pid"
fi
if said=$(docker compose version --short 2>/dev/null); then say compose_plugin yes "$said"; else say compose_plugin skipped 'not installed'; fi
if said=$(docker-compose version --short 2>/dev/null); then say compose_standalone yes "$said"; else say compose_standalone skipped 'not installed'; fi
remove
left=$(docker ps --all --quiet --filter "label=$label")$(docker image ls --quiet "$image")
if [ -z "$left" ]; then say removed yes 'nothing of it is left'; else say removed no "$left"; fi
