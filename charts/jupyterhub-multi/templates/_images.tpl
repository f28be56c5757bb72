{{- /* One image reference: registry/repository:tag@digest. `tag` is what a null tag means. */ -}}
{{- define "kubelab.image" -}}
{{- $tag := .image.tag | default .tag }}
{{- with .root.Values.images.registry }}{{ . }}/{{ end }}{{ .image.repository }}:{{ $tag }}
{{- with .image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "kubelab.hub.image" -}}
{{- include "kubelab.image" (dict "root" . "image" .Values.images.hub "tag" .Chart.AppVersion) }}
{{- end }}

{{- define "kubelab.proxy.image" -}}
{{- include "kubelab.image" (dict "root" . "image" .Values.images.proxy "tag" .Chart.AppVersion) }}
{{- end }}

{{- define "kubelab.storage.image" -}}
{{- include "kubelab.image" (dict "root" . "image" .Values.images.provisioner) }}
{{- end }}

{{- /* The notebook image of one entry of `pythons`. */ -}}
{{- define "kubelab.python.image" -}}
{{- $image := merge (deepCopy (.python.image | default dict)) .root.Values.images.notebook }}
{{- $tag := printf "%s-py%s" .root.Chart.AppVersion .python.version }}
{{- include "kubelab.image" (dict "root" .root "image" $image "tag" $tag) }}
{{- end }}

{{- define "kubelab.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets -}}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
