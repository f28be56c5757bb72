# Written by kubelab. What the programs beside this file share: a control plane's static pods, stopped and started.
# shellcheck shell=sh

PATH=/usr/local/bin:/usr/local/sbin:$PATH

# running COMPONENT: the ids of its running containers.
running() {
  tasks=$(ctr --namespace k8s.io tasks ls 2>/dev/null)
  for id in $(ctr --namespace k8s.io containers ls --quiet "labels.\"io.kubernetes.container.name\"==$1" 2>/dev/null); do
    printf '%s\n' "$tasks" | awk -v id="$id" '$1 == id && $3 == "RUNNING" {print id}'
  done
}

# await SECONDS WHAT COMMAND...: until the command succeeds.
await() {
  end=$(($(date +%s) + $1))
  what=$2
  shift 2
  until "$@"; do
    [ "$(date +%s)" -lt "$end" ] || { echo "$what: not within its time" >&2; return 1; }
    sleep 1
  done
}

is_stopped() {
  [ -z "$(running "$1")" ]
}

# is_new COMPONENT ID...: it runs, in a container that is none of these.
is_new() {
  now=$(running "$1")
  shift
  [ -n "$now" ] || return 1
  for id; do
    case $now in *"$id"*) return 1 ;; esac
  done
}

is_ready() {
  kubectl --kubeconfig=/etc/kubernetes/admin.conf --server=https://127.0.0.1:6443 --request-timeout=5s \
      get --raw=/readyz > /dev/null 2>&1
}

# signal SIGNAL ID...
signal() {
  signal=$1
  shift
  for id; do
    ctr --namespace k8s.io tasks kill --signal "$signal" "$id" > /dev/null 2>&1 || true
  done
}

# restart COMPONENT: kubelet starts anew what ends; a changed manifest takes it five times as long (8 s, 42 s). An API server that
# is asked to end waits a minute for its clients, and takes no new ones meanwhile.
restart() {
  old=$(running "$1")
  # shellcheck disable=SC2086 # one word an id
  signal SIGTERM $old
  # shellcheck disable=SC2086
  await 10 "$1 ends" is_new "$1" $old 2>/dev/null || signal SIGKILL $old
  # kubelet waits up to 5 minutes with what has ended several times in a row.
  # shellcheck disable=SC2086
  await 330 "the restart of $1" is_new "$1" $old
}
