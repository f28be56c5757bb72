{{- /* What the hub's configuration reads: only the values it needs, with every name and image filled in. No secret. */ -}}
{{- define "kubelab.hub.settings" -}}
{{- $root := . }}
{{- $singleuser := deepCopy .Values.singleuser }}
{{- /* The class is filled in below; Helm 3 keeps a null default and Helm 4 drops it, so it would differ here. */ -}}
{{- $_ := unset $singleuser.storage.dynamic "storageClass" }}
{{- $pythons := list }}
{{- range .Values.pythons }}
{{- $image := include "kubelab.python.image" (dict "root" $root "python" .) }}
{{- $pythons = append $pythons (merge (dict "image" $image) (omit . "image")) }}
{{- end }}
{{- $class := include "kubelab.storage.classOf" (dict "root" . "choice" .Values.singleuser.storage.dynamic.storageClass) }}
{{- dict
  "baseUrl" (include "kubelab.hub.baseUrl" .)
  "cull" .Values.cull
  "debug" .Values.debug.enabled
  "hub" (pick .Values.hub "config" "extraConfig" "concurrentSpawnLimit" "consecutiveFailureLimit")
  "hubUrl" (include "kubelab.hub.url" .)
  "imagePullPolicy" .Values.images.pullPolicy
  "imagePullSecrets" .Values.imagePullSecrets
  "instance" .Release.Name
  "namespace" .Release.Namespace
  "proxyApiUrl" (include "kubelab.proxy.apiUrl" .)
  "pythons" $pythons
  "serviceAccount" (include "kubelab.singleuser.name" .)
  "singleuser" $singleuser
  "storageClass" $class
  | toPrettyJson }}
{{- end }}
