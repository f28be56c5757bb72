{{- /* Names and Pythons that contradict each other: a JSON list of refusals. */ -}}
{{- define "kubelab.refusals.names" -}}
{{- $errors := list }}
{{- $v := .Values }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$" .Release.Name) }}
{{- $errors = append $errors (printf "The release name %q cannot begin Service names: use 1 to 40 of a-z, 0-9 and -, beginning with a letter." .Release.Name) }}
{{- end }}
{{- if and $v.storage.provisioner.enabled (eq (include "kubelab.storage.namespace" .) .Release.Namespace) }}
{{- $errors = append $errors "storage.provisioner.namespace is the release's own namespace: its helper pods mount a hostPath, which the restricted standard forbids there. Name another, or set it to null." }}
{{- end }}

{{- $versions := list }}
{{- $defaults := list }}
{{- range $v.pythons }}
{{- if has .version $versions }}
{{- $errors = append $errors (printf "pythons lists %s twice: give each version one entry." .version) }}
{{- end }}
{{- $versions = append $versions .version }}
{{- if and (eq .version "multi") (not (dig "image" "repository" nil .)) }}
{{- $errors = append $errors "pythons has the version multi without an image: no image of the chart has several, so name one in its image.repository." }}
{{- end }}
{{- if .default }}{{ $defaults = append $defaults .version }}{{ end }}
{{- end }}
{{- if gt (len $defaults) 1 }}
{{- $errors = append $errors (printf "pythons has several defaults (%s): set default: true on one entry." (join ", " $defaults)) }}
{{- end }}
{{- toJson $errors }}
{{- end }}
