{{- /* The container that ends TLS, in the proxy's pod. */ -}}
{{- define "kubelab.tls.nginx" -}}
name: tls
image: {{ include "kubelab.proxy.image" . }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
# By its path: Debian has it in sbin, which is on no path of the image.
command: [/usr/sbin/nginx, -e, stderr, -c, /etc/kubelab/nginx/nginx.conf]
ports:
  - name: https
    containerPort: 8443
  - name: redirect
    containerPort: 8080
securityContext: {{- include "kubelab.containerSecurityContext" . | nindent 2 }}
resources: {{- toYaml .Values.tls.resources | nindent 2 }}
{{- range $probe, $numbers := dict "startupProbe" (list 1 60) "readinessProbe" (list 2 5) "livenessProbe" (list 10 30) }}
{{ $probe }}:
  httpGet:
    path: /.well-known/kubelab/health
    port: redirect
  periodSeconds: {{ first $numbers }}
  failureThreshold: {{ last $numbers }}
{{- end }}
volumeMounts:
  - name: nginx
    mountPath: /etc/kubelab/nginx
    readOnly: true
  # Not by subPath: kubelet replaces a mounted folder's files when the Secret changes, and those of a subPath never.
  - name: tls
    mountPath: /etc/kubelab/tls
    readOnly: true
  - name: tls-tmp
    mountPath: /tmp
{{- end }}

{{- define "kubelab.tls.volumes" -}}
- name: nginx
  configMap:
    name: {{ include "kubelab.tls.name" . }}
- name: tls
  secret:
    secretName: {{ include "kubelab.tls.secret" . }}
    defaultMode: 0440
- name: tls-tmp
  emptyDir:
    sizeLimit: 256Mi
{{- end }}
