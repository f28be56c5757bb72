{{- /* Where a pod may run. `require` is a selector and no affinity: of several required terms Kubernetes asks for one only. */ -}}

{{- define "kubelab.scheduling.label" -}}hub.jupyter.org/node-purpose{{- end }}

{{- /* JSON: a component's own selector, with its purpose where that is required. `pods`, `purpose` and `own`. */ -}}
{{- define "kubelab.scheduling.nodeSelector" -}}
{{- $selector := deepCopy (.own | default dict) }}
{{- if eq .pods.nodeAffinity.matchNodePurpose "require" }}
{{- $_ := set $selector (include "kubelab.scheduling.label" .) .purpose }}
{{- end }}
{{- toJson $selector }}
{{- end }}

{{- define "kubelab.scheduling.prefersPurpose" -}}
{{- if eq .pods.nodeAffinity.matchNodePurpose "prefer" }}true{{ end }}
{{- end }}

{{- define "kubelab.scheduling.preference" -}}
weight: 100
preference:
  matchExpressions:
    - key: {{ include "kubelab.scheduling.label" . }}
      operator: In
      values: [{{ .purpose }}]
{{- end }}

{{- /* Those lines of a pod's spec: `root`, `purpose` (core, user), a component's own `nodeSelector` and
`tolerations`, and its `priority`; a hook has none, because it runs before there are PriorityClasses. */ -}}
{{- define "kubelab.scheduling" -}}
{{- $pods := get .root.Values.scheduling (printf "%sPods" .purpose) }}
{{- $about := dict "pods" $pods "purpose" .purpose "own" .nodeSelector }}
{{- with include "kubelab.scheduling.nodeSelector" $about | fromJson }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat ($pods.tolerations | default list) (.tolerations | default list) }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if include "kubelab.scheduling.prefersPurpose" $about }}
affinity:
  nodeAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - {{- include "kubelab.scheduling.preference" $about | nindent 8 }}
{{- end }}
{{- if and .priority .root.Values.scheduling.podPriority.enabled }}
priorityClassName: {{ include (printf "kubelab.priority.%s" .priority) .root }}
{{- end }}
{{- end }}

{{- /* What users' servers have, for the hub and for the image pullers alike. */ -}}
{{- define "kubelab.singleuser.nodeSelector" -}}
{{- include "kubelab.scheduling.nodeSelector" (dict "pods" .Values.scheduling.userPods "purpose" "user" "own" .Values.singleuser.nodeSelector) }}
{{- end }}

{{- define "kubelab.singleuser.tolerations" -}}
{{- concat (.Values.scheduling.userPods.tolerations | default list) (.Values.singleuser.extraTolerations | default list) | toJson }}
{{- end }}
