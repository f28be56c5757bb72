{{- define "kubelab.storage.config" -}}
{{- $paths := dict "node" "DEFAULT_PATH_FOR_NON_LISTED_NODES" "paths" (list .Values.storage.provisioner.nodePath) }}
{{- dict "nodePathMap" (list $paths) | toPrettyJson }}
{{- end }}

{{- /* The pod that makes or removes one folder; the provisioner adds command, node, account and the hostPath volume. */ -}}
{{- define "kubelab.storage.helperPod" -}}
{{- $helper := .Values.storage.provisioner.helper -}}
apiVersion: v1
kind: Pod
metadata:
  # The provisioner adds -create-<volume>; together they must stay within the 63 characters of a host name.
  name: helper
  labels: {{- include "kubelab.selectorLabels" (dict "root" . "component" "storage-helper") | nindent 4 }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with include "kubelab.imagePullSecrets" . }}
  {{- . | nindent 2 }}
  {{- end }}
  securityContext:
    runAsNonRoot: {{ ne (int $helper.runAsUser) 0 }}
    runAsUser: {{ $helper.runAsUser }}
    runAsGroup: {{ $helper.runAsUser }}
    seccompProfile:
      type: RuntimeDefault
  containers:
    # The provisioner reads the logs of a container of this name.
    - name: helper-pod
      image: {{ include "kubelab.hub.image" . }}
      imagePullPolicy: {{ .Values.images.pullPolicy }}
      securityContext:
        allowPrivilegeEscalation: false
        capabilities:
          drop:
            - ALL
        readOnlyRootFilesystem: true
      resources: {{- toYaml $helper.resources | nindent 8 }}
{{- end }}
