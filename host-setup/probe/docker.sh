#!/bin/sh
# Read-only: what Docker is on this host. Prints `key<TAB>value` lines. Arguments: user:NAME, or url:URL to be asked for.
set -u
export LC_ALL=C

say() { printf '%s\t%s\n' "$1" "$2"; }
has() { command -v "$1" >/dev/null 2>&1; }
# Whether a URL answers: yes, no, or unknown where no program could ask.
answers() {
    case $1 in
        file:*) [ -r "${1#file://}" ] && echo yes || echo no ;;
        *) if has curl; then
            curl --silent --fail --location --output /dev/null --max-time 5 "$1" && echo yes || echo no
        elif has wget; then
            wget --quiet --output-document=/dev/null --timeout=5 --tries=1 "$1" && echo yes || echo no
        elif [ -x /usr/lib/apt/apt-helper ]; then
            # apt's own client, with apt's proxies; it refuses to write to /dev/null.
            folder=$(mktemp -d)
            timeout 8 /usr/lib/apt/apt-helper -o Acquire::Retries=0 download-file "$1" "$folder/got" >/dev/null 2>&1 &&
                echo yes || echo no
            rm -rf "$folder"
        else echo unknown; fi ;;
    esac
}

names='docker.io docker-ce docker-ce-cli docker-cli docker-engine moby-engine docker podman-docker containerd containerd.io runc
docker-compose docker-compose-v2 docker-compose-plugin docker-buildx docker-buildx-plugin docker-ce-rootless-extras'
for name in $names; do
    if has dpkg-query; then
        # shellcheck disable=SC2016 # dpkg-query's own variables
        found=$(dpkg-query --show --showformat='${db:Status-Abbrev} ${Version}' "$name" 2>/dev/null)
        case $found in ?i*) say package "$name ${found##* }" ;; esac
    elif has rpm; then
        found=$(rpm --query --queryformat '%{VERSION}-%{RELEASE}' "$name" 2>/dev/null) && say package "$name $found"
    fi
done
has snap && snap list docker >/dev/null 2>&1 && say snap "$(snap list docker | awk 'NR == 2 {print $2}')"
has dockerd && say dockerd "$(command -v dockerd)"
has dockerd && say version "$(dockerd --version 2>/dev/null | sed -n 's/^Docker version \([^,]*\),.*/\1/p')"
[ -d /var/lib/docker ] && say data /var/lib/docker
[ -f /etc/docker/daemon.json ] && say config "$(stat -c '%a %u:%g' /etc/docker/daemon.json)"
[ -S /run/containerd/containerd.sock ] && say containerd running
for place in /usr/local/lib/docker /usr/local/libexec/docker /usr/lib/docker /usr/libexec/docker; do
    [ -x "$place/cli-plugins/docker-compose" ] && say compose_plugin "$place/cli-plugins/docker-compose"
done
has docker-compose && say compose_standalone "$(command -v docker-compose)"

# Options given on the command line may not stand in daemon.json too: dockerd would not start.
systemctl cat docker.service >/dev/null 2>&1 && say unit "$(systemctl show docker.service --property=FragmentPath --value)"
systemctl show docker.service --property=DropInPaths --value 2>/dev/null | tr ' ' '\n' | awk 'NF {print "dropin\t" $1}'
systemctl show docker.service --property=ExecStart 2>/dev/null |
    sed -n 's/.*argv\[\]=\([^;]*\) ;.*/\1/p' | tr ' ' '\n' | awk '/^-/ || seen {print "flag\t" $0; seen = 1}'
for file in /etc/default/docker /etc/sysconfig/docker; do
    [ -r "$file" ] && sed -n 's/^[[:space:]]*\(DOCKER_OPTS\|OPTIONS\)=["'\'']\{0,1\}\([^"'\'']*\).*/\2/p' "$file" |
        tr ' ' '\n' | awk 'NF {print "flag\t" $0}'
done

# A stopped daemon is not asked: its socket would start it.
if cat /proc/[0-9]*/comm 2>/dev/null | grep -qx dockerd && has docker; then
    say running yes
    timeout 10 docker info --format 'info	cgroup_driver {{.CgroupDriver}}
info	log_driver {{.LoggingDriver}}
info	live_restore {{.LiveRestoreEnabled}}
info	storage {{.Driver}}
info	root {{.DockerRootDir}}
info	swarm {{.Swarm.LocalNodeState}}' 2>/dev/null
    timeout 10 docker ps --all --format 'container	{{.Names}} {{.State}}' 2>/dev/null
    timeout 10 docker image ls --format 'image	{{.Repository}}:{{.Tag}}' 2>/dev/null
    timeout 10 docker volume ls --format 'volume	{{.Name}}' 2>/dev/null
fi
getent group docker | awk -F : '{n = split($4, names, ","); print "group\t" $1; for (i = 1; i <= n; i++) print "member\t" names[i]}'
for item in "$@"; do
    case $item in
        user:*) getent passwd "${item#*:}" >/dev/null && say user "${item#*:}" ;;
        url:*) say answers "$(answers "${item#*:}") ${item#*:}" ;;
    esac
done
exit 0
