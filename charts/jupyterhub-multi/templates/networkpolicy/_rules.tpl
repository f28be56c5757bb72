{{- /* Egress rules that several policies share. */ -}}

{{- define "kubelab.networkPolicy.toApiServer" -}}
- ports:
    {{- range .Values.networkPolicy.apiServer.ports }}
    - protocol: TCP
      port: {{ . }}
    {{- end }}
  {{- with .Values.networkPolicy.apiServer.cidrs }}
  to:
    {{- range . }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
  {{- end }}
{{- end }}

{{- define "kubelab.networkPolicy.toDns" -}}
- ports:
    - protocol: UDP
      port: 53
    - protocol: TCP
      port: 53
  to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
    # NodeLocal DNSCache, where a cluster has it.
    - ipBlock:
        cidr: 169.254.20.10/32
{{- end }}

{{- /* Public addresses: no private network, no link-local one (and so no cloud metadata), no carrier-grade NAT. */ -}}
{{- define "kubelab.networkPolicy.toInternet" -}}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except:
          - 10.0.0.0/8
          - 100.64.0.0/10
          - 169.254.0.0/16
          - 172.16.0.0/12
          - 192.168.0.0/16
    - ipBlock:
        cidr: ::/0
        except:
          - fc00::/7
          - fe80::/10
{{- end }}

{{- define "kubelab.networkPolicy.peer" -}}
- podSelector:
    matchLabels: {{- include "kubelab.selectorLabels" . | nindent 6 }}
{{- end }}

{{- define "kubelab.networkPolicy.singleuserPeer" -}}
- podSelector:
    matchLabels: {{- include "kubelab.singleuserSelector" . | nindent 6 }}
{{- end }}
