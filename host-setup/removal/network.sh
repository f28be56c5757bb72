#!/bin/sh
# Removes what kube-proxy, kubelet, Flannel, Calico and the CNI plugins put into the host's network: their devices, chains,
# sets and tables, and the rules that lead there. Whatever else stands in a chain stays, in its order
# (kubeadm's reset leaves all of it: https://github.com/kubernetes/kubeadm/issues/689).
set -u
export LC_ALL=C
OWN_CHAIN='(cali-|FLANNEL-|KUBE-|CNI-)'
OWN_COMMENT='--comment "?(cali:|flanneld |kubernetes |CNI portfwd)'

remove_rules() {
    for table in raw mangle nat filter; do
        rules=$("$1" -w -t "$table" -S 2>/dev/null) || continue
        echo "$rules" | grep -E '^-A ' | grep -vE "^-A $OWN_CHAIN" | grep -E -e "-[jg] $OWN_CHAIN" -e "$OWN_COMMENT" |
            sed 's/^-A/-D/' | while read -r rule; do echo "$rule" | xargs "$1" -w -t "$table"; done
        for chain in $(echo "$rules" | awk '$1 == "-N" {print $2}' | grep -E "^$OWN_CHAIN"); do
            "$1" -w -t "$table" -F "$chain"
        done
        for chain in $(echo "$rules" | awk '$1 == "-N" {print $2}' | grep -E "^$OWN_CHAIN"); do
            "$1" -w -t "$table" -X "$chain"
        done
    done
}

for program in iptables ip6tables iptables-legacy ip6tables-legacy; do
    # Asking a legacy program would load its kernel modules where nobody uses them.
    case $program in
        iptables-legacy) [ -s /proc/net/ip_tables_names ] || continue ;;
        ip6tables-legacy) [ -s /proc/net/ip6_tables_names ] || continue ;;
    esac
    command -v "$program" >/dev/null 2>&1 && remove_rules "$program"
done
if command -v nft >/dev/null 2>&1; then
    for family in ip ip6; do
        nft list table "$family" kube-proxy >/dev/null 2>&1 && nft delete table "$family" kube-proxy
    done
fi
for link in $(ip -o link show | awk '{sub(/[:@].*/, "", $2); print $2}'); do
    case $link in cali?* | flannel.1 | flannel-v6.1 | kube-ipvs0) ip link delete "$link" 2>/dev/null ;; esac
done
# 80 is the route protocol of Calico's agent.
ip route flush proto 80 2>/dev/null
if command -v ipset >/dev/null 2>&1; then
    for set in $(ipset list -name 2>/dev/null | grep -E '^(cali[46]0|KUBE-)'); do ipset destroy "$set"; done
fi
exit 0
