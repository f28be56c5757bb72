{{- /* Bytes of KubeSpawner's notation, such as 256M or 2G: powers of 1024. */ -}}
{{- define "kubelab.bytes" -}}
{{- $text := toString . }}
{{- $powers := dict "K" 1024.0 "M" 1048576.0 "G" 1073741824.0 "T" 1099511627776.0 }}
{{- $unit := regexFind "[KMGT]$" $text }}
{{- mulf (float64 (trimSuffix $unit $text)) (get $powers $unit | default 1.0) }}
{{- end }}
