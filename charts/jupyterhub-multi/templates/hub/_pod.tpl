{{- define "kubelab.hub.podSpec" -}}
serviceAccountName: {{ include "kubelab.hub.name" . }}
# The hub starts and stops the users' pods, so it is one of the few with a token.
automountServiceAccountToken: true
enableServiceLinks: false
securityContext: {{- include "kubelab.podSecurityContext" (dict "uid" 1000 "gid" 1000 "fsGroup" 1000) | nindent 2 }}
{{- with include "kubelab.imagePullSecrets" . }}
{{ . }}
{{- end }}
{{- include "kubelab.scheduling" (dict "root" . "purpose" "core" "nodeSelector" .Values.hub.nodeSelector "tolerations" .Values.hub.tolerations "priority" "default") }}
{{- with .Values.hub.initContainers }}
initContainers: {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: hub
    image: {{ include "kubelab.hub.image" . }}
    imagePullPolicy: {{ .Values.images.pullPolicy }}
    command:
      - jupyterhub
      - --config=/etc/jupyterhub/jupyterhub_config.py
    workingDir: /srv/jupyterhub
    env: {{- include "kubelab.hub.env" . | nindent 6 }}
    ports:
      - name: http
        containerPort: 8081
    securityContext: {{- include "kubelab.containerSecurityContext" . | nindent 6 }}
    resources: {{- toYaml .Values.hub.resources | nindent 6 }}
    {{- with .Values.hub.lifecycle }}
    lifecycle: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- include "kubelab.hub.probes" . | nindent 4 }}
    volumeMounts:
      - name: config
        mountPath: /etc/jupyterhub
        readOnly: true
      - name: code
        mountPath: /etc/kubelab/python/kubelab_hub
        readOnly: true
      - name: pages
        mountPath: /etc/kubelab/pages
        readOnly: true
      - name: secret
        mountPath: /etc/kubelab/secret
        readOnly: true
      - name: admin
        mountPath: /etc/kubelab/admin
        readOnly: true
      - name: data
        mountPath: /srv/jupyterhub
      - name: tmp
        mountPath: /tmp
      {{- if .Values.hub.services }}
      - name: services
        mountPath: /etc/kubelab/services
        readOnly: true
      {{- end }}
      {{- with concat (include "kubelab.files.mounts" .Values.hub.extraFiles | fromJsonArray) .Values.hub.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  {{- with .Values.hub.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumes: {{- include "kubelab.hub.volumes" . | nindent 2 }}
{{- end }}

{{- define "kubelab.hub.env" -}}
- name: PYTHONPATH
  value: /etc/kubelab/python
- name: PYTHONDONTWRITEBYTECODE
  value: "1"
# glibc gives every thread an arena of its own; two keep the idle hub small.
- name: MALLOC_ARENA_MAX
  value: "2"
- name: HOME
  value: /tmp
{{- range $name, $value := .Values.hub.extraEnv }}
- name: {{ $name }}
  {{- if kindIs "map" $value }}
  {{- toYaml $value | nindent 2 }}
  {{- else }}
  value: {{ $value | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "kubelab.hub.probes" -}}
{{- $path := printf "%shub/health" (include "kubelab.hub.baseUrl" .) -}}
startupProbe:
  httpGet:
    path: {{ $path }}
    port: http
  periodSeconds: 1
  timeoutSeconds: 2
  # Two minutes: a schema upgrade of the database runs before the first answer.
  failureThreshold: 120
readinessProbe:
  httpGet:
    path: {{ $path }}
    port: http
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 5
livenessProbe:
  httpGet:
    path: {{ $path }}
    port: http
  periodSeconds: 10
  timeoutSeconds: 3
  # Patient: a hub with two thousand users may be busy for a while, and a restart costs more.
  failureThreshold: 30
{{- end }}
