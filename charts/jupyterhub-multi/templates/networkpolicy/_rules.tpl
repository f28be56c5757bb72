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
{{- define "kubelab.networkPolicy.publicAddresses" -}}
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

{{- /* What a preset of networkPolicy.singleuser.egress adds to the hub, which every server reaches. */ -}}
{{- define "kubelab.networkPolicy.preset" -}}
{{- $policy := .Values.networkPolicy.singleuser }}
{{- if ne $policy.egress "strict" }}
{{- include "kubelab.networkPolicy.toDns" . }}
{{- end }}
{{- if eq $policy.egress "internet" }}
- to: {{- include "kubelab.networkPolicy.publicAddresses" . | nindent 4 }}
{{- else if eq $policy.egress "packages" }}
- ports:
    - protocol: TCP
      port: 443
    - protocol: TCP
      port: 80
  to:
    {{- if $policy.packageCidrs }}
    {{- range $policy.packageCidrs }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
    {{- else }}
    {{- include "kubelab.networkPolicy.publicAddresses" . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end }}

{{- define "kubelab.networkPolicy.peer" -}}
- podSelector:
    matchLabels: {{- include "kubelab.selectorLabels" . | nindent 6 }}
{{- end }}

{{- define "kubelab.networkPolicy.singleuserPeer" -}}
- podSelector:
    matchLabels: {{- include "kubelab.singleuserSelector" . | nindent 6 }}
{{- end }}
