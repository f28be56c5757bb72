{{- /* `root`, and `group` of kubelab.imagePuller.groups. */ -}}
{{- define "kubelab.imagePuller.podSpec" -}}
{{- $puller := .root.Values.prePuller -}}
automountServiceAccountToken: false
enableServiceLinks: false
# Nothing in it has anything to end.
terminationGracePeriodSeconds: 1
securityContext: {{- include "kubelab.podSecurityContext" (dict "uid" 1000 "gid" 1000) | nindent 2 }}
{{- with include "kubelab.imagePullSecrets" .root }}
{{ . }}
{{- end }}
{{- with .group.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .root.Values.scheduling.podPriority.enabled }}
priorityClassName: {{ include "kubelab.priority.imagePuller" .root }}
{{- end }}
{{- with concat .group.tolerations ($puller.extraTolerations | default list) }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
# kubelet pulls the image of each before it starts it; the next one begins when `true` has ended.
initContainers:
  {{- range $number, $image := .group.images }}
  - name: image-{{ $number }}
    image: {{ $image }}
    command: ["true"]
    {{- include "kubelab.imagePuller.container" $.root | nindent 4 }}
  {{- end }}
containers:
  # The hub's image, because the storage helper starts from it on every node that has homes.
  - name: pause
    image: {{ include "kubelab.hub.image" .root }}
    command: [sleep, infinity]
    {{- include "kubelab.imagePuller.container" .root | nindent 4 }}
{{- end }}

{{- define "kubelab.imagePuller.container" -}}
imagePullPolicy: {{ .Values.images.pullPolicy }}
securityContext: {{- include "kubelab.containerSecurityContext" . | nindent 2 }}
resources: {{- toYaml .Values.prePuller.resources | nindent 2 }}
{{- end }}
