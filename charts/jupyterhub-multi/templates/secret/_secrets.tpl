{{- /* Which Secrets the hook makes: names and keys with how each value comes about; never a value. */ -}}
{{- define "kubelab.secretHook.secrets" -}}
{{- $labels := include "kubelab.labels" (dict "root" . "component" "hub") | fromYaml }}
{{- /* The hook makes them, so Helm must not take them for its own. */ -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" (include "kubelab.secretHook.name" .) }}
{{- /* A Secret is never made anew, so it must not carry the version of the chart that made it. */ -}}
{{- $labels = omit $labels "app.kubernetes.io/version" "helm.sh/chart" }}
{{- $secrets := list }}
{{- if not .Values.hub.existingSecret }}
{{- $random := dict "cookie-secret" "hex32" "crypt-key" "hex32" "proxy-token" "hex32" }}
{{- $secrets = append $secrets (dict "name" (include "kubelab.hub.secret" .) "labels" $labels "random" $random "plain" dict) }}
{{- end }}
{{- if not .Values.hub.admin.existingSecret }}
{{- $plain := dict "username" (.Values.hub.admin.username | default "admin") }}
{{- $random := dict "password" "password" }}
{{- $secrets = append $secrets (dict "name" (include "kubelab.hub.adminSecret" .) "labels" $labels "random" $random "plain" $plain) }}
{{- end }}
{{- range $name, $service := .Values.hub.services }}
{{- if not $service.existingSecret }}
{{- $secret := include "kubelab.service.secret" (dict "root" $ "name" $name "service" $service) }}
{{- $secrets = append $secrets (dict "name" $secret "labels" $labels "random" (dict "token" "hex32") "plain" dict) }}
{{- end }}
{{- end }}
{{- toJson $secrets }}
{{- end }}
