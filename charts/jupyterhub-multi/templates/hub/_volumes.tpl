{{- define "kubelab.hub.volumes" -}}
- name: config
  configMap:
    name: {{ include "kubelab.hub.name" . }}
- name: code
  configMap:
    name: {{ include "kubelab.hub.code" . }}
- name: pages
  configMap:
    name: {{ include "kubelab.hub.pages" . }}
- name: secret
  secret:
    secretName: {{ include "kubelab.hub.secret" . }}
    defaultMode: 0440
- name: admin
  secret:
    secretName: {{ include "kubelab.hub.adminSecret" . }}
    defaultMode: 0440
- name: data
  persistentVolumeClaim:
    claimName: {{ include "kubelab.hub.pvc" . }}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if .Values.hub.services }}
- name: services
  projected:
    defaultMode: 0440
    sources:
      {{- range $name, $service := .Values.hub.services }}
      - secret:
          name: {{ include "kubelab.service.secret" (dict "root" $ "name" $name "service" $service) }}
          items:
            - key: token
              path: {{ $name }}
      {{- end }}
{{- end }}
{{- with .Values.hub.extraFiles }}
- {{- include "kubelab.files.volume" (dict "name" (include "kubelab.hub.files" $) "files" .) | fromJson | toYaml | nindent 2 }}
{{- end }}
{{- with .Values.hub.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
