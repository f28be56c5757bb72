{{- /* Files and volumes that contradict each other: a JSON list of refusals. */ -}}
{{- define "kubelab.refusals.files" -}}
{{- $errors := list }}
{{- $v := .Values }}
{{- range $owner := list "hub" "singleuser" }}
{{- range $name, $file := get (get $v $owner) "extraFiles" }}
{{- $kinds := list }}
{{- range list "data" "stringData" "binaryData" }}
{{- if hasKey $file . }}{{ $kinds = append $kinds . }}{{ end }}
{{- end }}
{{- if ne (len $kinds) 1 }}
{{- $errors = append $errors (printf "%s.extraFiles.%s has %d contents: give it one of stringData, binaryData and data." $owner $name (len $kinds)) }}
{{- else if and (hasKey $file "data") (not (regexMatch "\\.(ya?ml|json|toml)$" $file.mountPath)) }}
{{- $errors = append $errors (printf "%s.extraFiles.%s has data, and its mountPath says no language: end it in .yaml, .json or .toml, or use stringData." $owner $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $key, $volumes := dict "hub.extraVolumes" $v.hub.extraVolumes "singleuser.storage.extraVolumes" $v.singleuser.storage.extraVolumes }}
{{- range $volumes }}
{{- if hasKey . "hostPath" }}
{{- $errors = append $errors (printf "%s has a hostPath (%v), which the restricted standard forbids: use a claim on a local volume." $key .name) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $errors }}
{{- end }}
