{{- /* JSON of a map without its nulls, at every level of maps: Helm 3 keeps a default that is null, and Helm 4 drops it. */ -}}
{{- define "kubelab.compact" -}}
{{- $kept := dict }}
{{- range $key, $value := . }}
{{- if kindIs "map" $value }}
{{- $_ := set $kept $key (include "kubelab.compact" $value | fromJson) }}
{{- else if not (kindIs "invalid" $value) }}
{{- $_ := set $kept $key $value }}
{{- end }}
{{- end }}
{{- toJson $kept }}
{{- end }}

{{- /* `spec` (text) with what `extra` says besides or instead. */ -}}
{{- define "kubelab.podSpecWith" -}}
{{- if .extra }}{{ toYaml (mergeOverwrite (fromYaml .spec) .extra) }}{{ else }}{{ .spec }}{{ end }}
{{- end }}
