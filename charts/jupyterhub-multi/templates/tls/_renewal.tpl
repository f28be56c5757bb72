{{- /* What the certificate should be, for the script that makes it. */ -}}
{{- define "kubelab.tls.wanted" -}}
{{- $service := include "kubelab.proxy.public" . }}
{{- $labels := include "kubelab.selectorLabels" (dict "root" . "component" "tls") | fromYaml }}
{{- /* The script makes the Secrets, so Helm must not take them for its own. */ -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" (include "kubelab.tls.renewal" .) }}
{{- dict
  "secret" (include "kubelab.tls.secret" .)
  "authority" (include "kubelab.tls.authority" .)
  "name" (printf "kubelab %s/%s" .Release.Namespace .Release.Name)
  "hosts" (concat .Values.tls.hosts (list $service (printf "%s.%s.svc" $service .Release.Namespace)) | uniq)
  "days" .Values.tls.days
  "renewBeforeDays" .Values.tls.renewBeforeDays
  "keyAlgorithm" .Values.tls.keyAlgorithm
  "labels" $labels
  | toPrettyJson }}
{{- end }}

{{- define "kubelab.tls.files" -}}
certificates.py: | {{- .Files.Get "files/tls/certificates.py" | nindent 2 }}
renew_certificate.py: | {{- .Files.Get "files/tls/renew_certificate.py" | nindent 2 }}
wanted.json: | {{- include "kubelab.tls.wanted" . | nindent 2 }}
{{- end }}

{{- /* The container that makes the certificate; its files are the volume `script`. */ -}}
{{- define "kubelab.tls.container" -}}
name: make-certificate
image: {{ include "kubelab.hub.image" . }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
command:
  - python3
  - /etc/kubelab/hook/renew_certificate.py
  - --namespace={{ .Release.Namespace }}
  - --wanted=/etc/kubelab/hook/wanted.json
securityContext: {{- include "kubelab.containerSecurityContext" . | nindent 2 }}
resources: {{- include "kubelab.hook.resources" . | nindent 2 }}
volumeMounts:
  - name: script
    mountPath: /etc/kubelab/hook
    readOnly: true
{{- end }}

{{- define "kubelab.hook.resources" -}}
requests:
  cpu: 50m
  memory: 64Mi
limits:
  cpu: "1"
  memory: 256Mi
{{- end }}
