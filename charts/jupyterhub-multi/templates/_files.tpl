{{- /* Files of extraFiles: a ConfigMap's data, the volume of it, and a mount for each. */ -}}

{{- /* What a file of `data` holds, in the language of its name's end. */ -}}
{{- define "kubelab.files.content" -}}
{{- if hasKey . "stringData" }}{{ .stringData }}
{{- else if hasSuffix ".json" .mountPath }}{{ toPrettyJson .data }}
{{- else if hasSuffix ".toml" .mountPath }}{{ toToml .data }}
{{- else }}{{ toYaml .data }}
{{- end }}
{{- end }}

{{- define "kubelab.files.data" -}}
{{- range $name, $file := . }}
{{- if not (hasKey $file "binaryData") }}
{{ $name }}: {{ include "kubelab.files.content" $file | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kubelab.files.binaryData" -}}
{{- range $name, $file := . }}
{{- with $file.binaryData }}
{{ $name }}: {{ regexReplaceAll "\\s+" . "" | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* JSON: the volume, for `name` of the ConfigMap and `files`. */ -}}
{{- define "kubelab.files.volume" -}}
{{- $items := list }}
{{- range $name, $file := .files }}
{{- $item := dict "key" $name "path" $name }}
{{- if hasKey $file "mode" }}{{ $_ := set $item "mode" $file.mode }}{{ end }}
{{- $items = append $items $item }}
{{- end }}
{{- dict "name" "files" "configMap" (dict "name" .name "items" $items) | toJson }}
{{- end }}

{{- /* JSON: the mounts. By subPath, because the folder may hold other files. */ -}}
{{- define "kubelab.files.mounts" -}}
{{- $mounts := list }}
{{- range $name, $file := . }}
{{- $mounts = append $mounts (dict "name" "files" "mountPath" $file.mountPath "subPath" $name "readOnly" true) }}
{{- end }}
{{- toJson $mounts }}
{{- end }}
