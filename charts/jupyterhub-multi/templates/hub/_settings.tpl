{{- /* What the hub's configuration reads: only the values it needs, with every name and image filled in. No secret. */ -}}
{{- define "kubelab.hub.settings" -}}
{{- $root := . }}
{{- $pythons := list }}
{{- range .Values.pythons }}
{{- $image := include "kubelab.python.image" (dict "root" $root "python" .) }}
{{- $pythons = append $pythons (merge (dict "image" $image) (omit . "image")) }}
{{- end }}
{{- dict
  "baseUrl" (include "kubelab.hub.baseUrl" .)
  "cull" .Values.cull
  "custom" .Values.custom
  "debug" .Values.debug.enabled
  "hub" (pick .Values.hub "config" "extraConfig" "concurrentSpawnLimit" "consecutiveFailureLimit" "allowNamedServers"
    "namedServerLimitPerUser" "activeServerLimit" "authenticatePrometheus" "redirectToServer" "shutdownOnLogout" "services"
    "loadRoles" "templatePaths" "templateVars")
  "hubUrl" (include "kubelab.hub.url" .)
  "hubByAddress" (and .Values.networkPolicy.enabled (eq .Values.networkPolicy.singleuser.egress "strict"))
  "imagePullPolicy" .Values.images.pullPolicy
  "imagePullSecrets" .Values.imagePullSecrets
  "instance" .Release.Name
  "namespace" .Release.Namespace
  "proxyApiUrl" (include "kubelab.proxy.apiUrl" .)
  "pythons" $pythons
  "singleuser" (include "kubelab.singleuser.settings" . | fromJson)
  | include "kubelab.compact" | fromJson | toPrettyJson }}
{{- end }}

{{- /* JSON of singleuser, with what the chart decides about it. */ -}}
{{- define "kubelab.singleuser.settings" -}}
{{- $singleuser := omit (deepCopy .Values.singleuser) "extraFiles" }}
{{- $dynamic := $singleuser.storage.dynamic }}
{{- $_ := set $dynamic "storageClass" (include "kubelab.storage.classOf" (dict "root" . "choice" $dynamic.storageClass)) }}
{{- $_ := set $singleuser "nodeSelector" (include "kubelab.singleuser.nodeSelector" . | fromJson) }}
{{- $_ := set $singleuser "extraTolerations" (include "kubelab.singleuser.tolerations" . | fromJsonArray) }}
{{- $about := dict "pods" .Values.scheduling.userPods "purpose" "user" }}
{{- if include "kubelab.scheduling.prefersPurpose" $about }}
{{- $preferred := prepend $singleuser.extraNodeAffinity.preferred (include "kubelab.scheduling.preference" $about | fromYaml) }}
{{- $_ := set $singleuser.extraNodeAffinity "preferred" $preferred }}
{{- end }}
{{- if .Values.scheduling.podPriority.enabled }}
{{- $_ := set $singleuser "priorityClassName" (include "kubelab.priority.default" .) }}
{{- end }}
{{- $_ := set $singleuser "serviceAccountName" ($singleuser.serviceAccountName | default (include "kubelab.singleuser.name" .)) }}
{{- with .Values.singleuser.extraFiles }}
{{- $volume := include "kubelab.files.volume" (dict "name" (include "kubelab.singleuser.files" $) "files" .) | fromJson }}
{{- $_ := set $singleuser.storage "extraVolumes" (prepend $singleuser.storage.extraVolumes $volume) }}
{{- $mounts := concat (include "kubelab.files.mounts" . | fromJsonArray) $singleuser.storage.extraVolumeMounts }}
{{- $_ := set $singleuser.storage "extraVolumeMounts" $mounts }}
{{- end }}
{{- toJson $singleuser }}
{{- end }}
