{{- define "kubelab.proxy.podSpec" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- /* The group by which nginx reads the key. */}}
{{- $group := include "kubelab.tls.ends" . | empty | ternary nil 1000 }}
securityContext: {{- include "kubelab.podSecurityContext" (dict "uid" 1000 "gid" 1000 "fsGroup" $group) | nindent 2 }}
{{- with include "kubelab.imagePullSecrets" . }}
{{ . }}
{{- end }}
{{- include "kubelab.scheduling" (dict "root" . "purpose" "core" "nodeSelector" .Values.proxy.chp.nodeSelector "tolerations" .Values.proxy.chp.tolerations "priority" "default") }}
containers:
  - name: chp
    image: {{ include "kubelab.proxy.image" . }}
    imagePullPolicy: {{ .Values.images.pullPolicy }}
    command:
      - configurable-http-proxy
      - --ip=
      - --port=8000
      - --api-ip=
      - --api-port=8001
      - --default-target={{ include "kubelab.hub.url" . }}
      - --error-target={{ include "kubelab.hub.url" . }}{{ include "kubelab.hub.baseUrl" . }}hub/error
      {{- if include "kubelab.tls.ends" . }}
      # nginx has said who asks and how; what is added here the hub would take instead.
      - --no-x-forward
      {{- end }}
      {{- if .Values.debug.enabled }}
      - --log-level=debug
      {{- end }}
      {{- range .Values.proxy.chp.extraCommandLineFlags }}
      - {{ . | quote }}
      {{- end }}
    env:
      # The only way in that configurable-http-proxy offers.
      - name: CONFIGPROXY_AUTH_TOKEN
        valueFrom:
          secretKeyRef:
            name: {{ include "kubelab.hub.secret" . }}
            key: proxy-token
      {{- range $name, $value := .Values.proxy.chp.extraEnv }}
      - name: {{ $name }}
        value: {{ $value | quote }}
      {{- end }}
    ports:
      - name: http
        containerPort: 8000
      - name: api
        containerPort: 8001
    securityContext: {{- include "kubelab.containerSecurityContext" . | nindent 6 }}
    resources: {{- toYaml .Values.proxy.chp.resources | nindent 6 }}
    startupProbe:
      httpGet:
        path: /_chp_healthz
        port: http
      periodSeconds: 1
      failureThreshold: 60
    readinessProbe:
      httpGet:
        path: /_chp_healthz
        port: http
      periodSeconds: 2
      failureThreshold: 5
    livenessProbe:
      httpGet:
        path: /_chp_healthz
        port: http
      periodSeconds: 10
      timeoutSeconds: 3
      failureThreshold: 30
    volumeMounts:
      - name: tmp
        mountPath: /tmp
  {{- if include "kubelab.tls.ends" . }}
  - {{- include "kubelab.tls.nginx" . | nindent 4 }}
  {{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 16Mi
  {{- if include "kubelab.tls.ends" . }}
  {{- include "kubelab.tls.volumes" . | nindent 2 }}
  {{- end }}
{{- end }}
