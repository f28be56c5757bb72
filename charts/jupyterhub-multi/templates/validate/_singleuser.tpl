{{- /* Users' servers that contradict each other: a JSON list of refusals. */ -}}
{{- define "kubelab.refusals.singleuser" -}}
{{- $errors := list }}
{{- $v := .Values }}
{{- if and (eq $v.singleuser.storage.type "static") (not $v.singleuser.storage.static.pvcName) }}
{{- $errors = append $errors "singleuser.storage.type is static without a claim: name one in singleuser.storage.static.pvcName." }}
{{- end }}
{{- $cpu := $v.singleuser.cpu }}
{{- if and $cpu.limit $cpu.guarantee (gt (float64 $cpu.guarantee) (float64 $cpu.limit)) }}
{{- $errors = append $errors (printf "singleuser.cpu.guarantee (%v) is above singleuser.cpu.limit (%v): no server could start; lower the guarantee or raise the limit." $cpu.guarantee $cpu.limit) }}
{{- end }}
{{- $memory := $v.singleuser.memory }}
{{- if and $memory.limit $memory.guarantee (gt (include "kubelab.bytes" $memory.guarantee | float64) (include "kubelab.bytes" $memory.limit | float64)) }}
{{- $errors = append $errors (printf "singleuser.memory.guarantee (%v) is above singleuser.memory.limit (%v): no server could start; lower the guarantee or raise the limit." $memory.guarantee $memory.limit) }}
{{- end }}
{{- $class := include "kubelab.storage.classOf" (dict "root" . "choice" $v.singleuser.storage.dynamic.storageClass) }}
{{- if and $v.storage.provisioner.enabled (eq $class (include "kubelab.storage.class" .)) (has "ReadWriteMany" $v.singleuser.storage.dynamic.storageAccessModes) }}
{{- $errors = append $errors (printf "singleuser.storage.dynamic.storageAccessModes asks for ReadWriteMany, which the class %s (a folder on one node) does not have: use ReadWriteOnce, or name a class that has it in singleuser.storage.dynamic.storageClass." $class) }}
{{- end }}
{{- toJson $errors }}
{{- end }}
