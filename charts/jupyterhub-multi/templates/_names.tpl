{{- /* Every name of the chart, once. All but the storage namespace begin with the release's name. */ -}}

{{- define "kubelab.hub.name" -}}{{ .Release.Name }}-hub{{- end }}
{{- define "kubelab.hub.pvc" -}}{{ .Release.Name }}-hub-db{{- end }}
{{- define "kubelab.hub.code" -}}{{ .Release.Name }}-hub-code{{- end }}
{{- define "kubelab.hub.pages" -}}{{ .Release.Name }}-hub-pages{{- end }}
{{- define "kubelab.hub.files" -}}{{ .Release.Name }}-hub-files{{- end }}
{{- define "kubelab.proxy.name" -}}{{ .Release.Name }}-proxy{{- end }}
{{- define "kubelab.proxy.api" -}}{{ .Release.Name }}-proxy-api{{- end }}
{{- define "kubelab.proxy.public" -}}{{ .Release.Name }}-proxy-public{{- end }}
{{- define "kubelab.singleuser.name" -}}{{ .Release.Name }}-singleuser{{- end }}
{{- define "kubelab.singleuser.files" -}}{{ .Release.Name }}-singleuser-files{{- end }}
{{- define "kubelab.tls.name" -}}{{ .Release.Name }}-tls{{- end }}
{{- define "kubelab.tls.renewal" -}}{{ .Release.Name }}-tls-renewal{{- end }}
{{- define "kubelab.tls.authority" -}}{{ .Release.Name }}-tls-authority{{- end }}
{{- define "kubelab.tls.secret" -}}{{ .Values.tls.secretName | default (include "kubelab.tls.name" .) }}{{- end }}
{{- define "kubelab.networkPolicy.name" -}}{{ .Release.Name }}-default-deny{{- end }}
{{- define "kubelab.ingress.name" -}}{{ .Release.Name }}{{- end }}
{{- define "kubelab.imagePuller.name" -}}{{ .Release.Name }}-image-puller{{- end }}
{{- define "kubelab.secretHook.name" -}}{{ .Release.Name }}-make-secrets{{- end }}
{{- define "kubelab.test.name" -}}{{ .Release.Name }}-test-hub{{- end }}

{{- /* The Secret with cookie secret, crypto key and proxy token: given, or made by the hook Job. */ -}}
{{- define "kubelab.hub.secret" -}}
{{- .Values.hub.existingSecret | default (printf "%s-hub-secret" .Release.Name) }}
{{- end }}

{{- /* The Secret with the admin's name and password: given, or made by the hook Job. */ -}}
{{- define "kubelab.hub.adminSecret" -}}
{{- .Values.hub.admin.existingSecret | default (printf "%s-hub-admin" .Release.Name) }}
{{- end }}

{{- /* The Secret with a hub service's token: given, or made by the hook Job. `root`, `name` and `service`. */ -}}
{{- define "kubelab.service.secret" -}}
{{- .service.existingSecret | default (printf "%s-service-%s" .root.Release.Name .name) }}
{{- end }}

{{- define "kubelab.storage.name" -}}{{ .Release.Name }}-storage{{- end }}
{{- define "kubelab.storage.helper" -}}{{ .Release.Name }}-storage-helper{{- end }}
{{- define "kubelab.storage.class" -}}{{ .Release.Name }}-homes{{- end }}

{{- define "kubelab.storage.namespace" -}}
{{- .Values.storage.provisioner.namespace | default (printf "%s-storage" .Release.Namespace) }}
{{- end }}

{{- /* Cluster-scoped names carry the namespace too, so that two releases of one name do not meet. */ -}}
{{- define "kubelab.storage.clusterName" -}}{{ .Release.Namespace }}-{{ .Release.Name }}-storage{{- end }}

{{- define "kubelab.admissionPolicy.name" -}}{{ .Release.Namespace }}-{{ .Release.Name }}-pods{{- end }}
{{- /* With its value, which Kubernetes lets nobody change: another value is another class. */ -}}
{{- define "kubelab.priority.default" -}}
{{ .Release.Namespace }}-{{ .Release.Name }}-{{ .Values.scheduling.podPriority.defaultPriority }}
{{- end }}
{{- define "kubelab.priority.imagePuller" -}}
{{ .Release.Namespace }}-{{ .Release.Name }}-image-puller-{{ .Values.scheduling.podPriority.imagePullerPriority }}
{{- end }}

{{- /* A qualified name: the part after the slash has 63 characters at most. */ -}}
{{- define "kubelab.storage.provisioner" -}}
kubelab.io/{{ printf "%s-%s" .Release.Namespace .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* The class of a claim: `choice` if it is not null, else the chart's; an empty answer means the cluster's default. */ -}}
{{- define "kubelab.storage.classOf" -}}
{{- $values := .root.Values.storage }}
{{- if not (kindIs "invalid" .choice) }}{{ .choice }}
{{- else if not (kindIs "invalid" $values.storageClassName) }}{{ $values.storageClassName }}
{{- else if $values.provisioner.enabled }}{{ include "kubelab.storage.class" .root }}
{{- end }}
{{- end }}

{{- /* hub.baseUrl with a slash at both ends. */ -}}
{{- define "kubelab.hub.baseUrl" -}}
{{- printf "/%s/" (trimAll "/" .Values.hub.baseUrl) | replace "//" "/" }}
{{- end }}

{{- define "kubelab.hub.url" -}}http://{{ include "kubelab.hub.name" . }}:8081{{- end }}
{{- define "kubelab.proxy.apiUrl" -}}http://{{ include "kubelab.proxy.api" . }}:8001{{- end }}

{{- /* The port on every node, of `http` or `https`; a ClusterIP Service has none, whatever the default says. */ -}}
{{- define "kubelab.proxy.nodePort" -}}
{{- if ne .root.Values.proxy.service.type "ClusterIP" }}{{ get .root.Values.proxy.service.nodePorts .scheme }}{{ end }}
{{- end }}

{{- /* Whether nginx ends TLS here, and whether its certificate is the release's own. */ -}}
{{- define "kubelab.tls.ends" -}}
{{- if and .Values.tls.enabled (ne .Values.tls.type "offload") }}true{{ end }}
{{- end }}
{{- define "kubelab.tls.generated" -}}
{{- if and .Values.tls.enabled (eq .Values.tls.type "generated") }}true{{ end }}
{{- end }}

{{- /* What a redirect adds to the name: the port on the nodes, or nothing where 443 is the port. */ -}}
{{- define "kubelab.tls.redirectPort" -}}
{{- if .Values.tls.redirectPort }}:{{ .Values.tls.redirectPort }}
{{- else if eq .Values.proxy.service.type "NodePort" }}{{ with .Values.proxy.service.nodePorts.https }}:{{ . }}{{ end }}{{ end }}
{{- end }}

{{- /* Whether the hook Job has a Secret to make. */ -}}
{{- define "kubelab.secretHook.needed" -}}
{{- if or (include "kubelab.secretHook.secrets" . | fromJsonArray) (include "kubelab.tls.generated" .) }}true{{ end }}
{{- end }}
