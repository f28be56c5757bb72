{{- /* Kubernetes has such policies since 1.30; on an older one the release does without. */ -}}
{{- define "kubelab.admissionPolicy.wanted" -}}
{{- $known := semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}
{{- if and .Values.security.admissionPolicy.enabled $known }}true{{ end }}
{{- end }}

{{- /* CEL; each rule with what it refuses. https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted */ -}}
{{- define "kubelab.admissionPolicy.rules" -}}
- expression: >-
    !(has(object.spec.hostNetwork) && object.spec.hostNetwork) &&
    !(has(object.spec.hostPID) && object.spec.hostPID) &&
    !(has(object.spec.hostIPC) && object.spec.hostIPC)
  message: a pod of the hub shares no namespace of its node
- expression: variables.volumes.all(each, !has(each.hostPath))
  message: a pod of the hub mounts no folder of its node
- expression: >-
    variables.volumes.all(each, has(each.configMap) || has(each.csi) || has(each.downwardAPI) || has(each.emptyDir) ||
    has(each.ephemeral) || has(each.persistentVolumeClaim) || has(each.projected) || has(each.secret))
  message: a pod of the hub mounts what the cluster keeps, and nothing of a server that is named in it
- expression: >-
    !(has(object.spec.securityContext) && has(object.spec.securityContext.runAsUser) &&
    object.spec.securityContext.runAsUser == 0) &&
    variables.containers.all(each, !has(each.securityContext) || !has(each.securityContext.runAsUser) ||
    each.securityContext.runAsUser != 0)
  message: a pod of the hub does not run as root
- expression: >-
    variables.containers.all(each, !has(each.ports) ||
    each.ports.all(port, !has(port.hostPort) || port.hostPort == 0))
  message: a container of the hub takes no port of its node
- expression: >-
    variables.containers.all(each, has(each.securityContext) &&
    !(has(each.securityContext.privileged) && each.securityContext.privileged) &&
    has(each.securityContext.allowPrivilegeEscalation) && !each.securityContext.allowPrivilegeEscalation)
  message: a container of the hub says allowPrivilegeEscalation false, and is not privileged
- expression: >-
    variables.containers.all(each, has(each.securityContext) && has(each.securityContext.capabilities) &&
    has(each.securityContext.capabilities.drop) && 'ALL' in each.securityContext.capabilities.drop &&
    (!has(each.securityContext.capabilities.add) ||
    each.securityContext.capabilities.add.all(name, name == 'NET_BIND_SERVICE')))
  message: a container of the hub drops all capabilities
- expression: >-
    variables.containers.all(each,
    (has(each.securityContext) && has(each.securityContext.runAsNonRoot))
    ? each.securityContext.runAsNonRoot
    : (has(object.spec.securityContext) && has(object.spec.securityContext.runAsNonRoot) &&
    object.spec.securityContext.runAsNonRoot))
  message: a container of the hub says runAsNonRoot, or its pod does
- expression: >-
    variables.containers.all(each,
    (has(each.securityContext) && has(each.securityContext.seccompProfile))
    ? each.securityContext.seccompProfile.type in ['RuntimeDefault', 'Localhost']
    : (has(object.spec.securityContext) && has(object.spec.securityContext.seccompProfile) &&
    object.spec.securityContext.seccompProfile.type in ['RuntimeDefault', 'Localhost']))
  message: a container of the hub has the runtime's seccomp profile, or one of the node's
- expression: >-
    !variables.isUsers ||
    (has(object.spec.automountServiceAccountToken) && !object.spec.automountServiceAccountToken &&
    variables.volumes.all(each, !has(each.projected) || !has(each.projected.sources) ||
    each.projected.sources.all(source, !has(source.serviceAccountToken))))
  message: a user's pod has no account's token
{{- end }}
