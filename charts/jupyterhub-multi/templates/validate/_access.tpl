{{- /* Ways in that contradict each other: a JSON list of refusals. */ -}}
{{- define "kubelab.refusals.access" -}}
{{- $errors := list }}
{{- $v := .Values }}
{{- if and (ne $v.proxy.service.type "LoadBalancer") (or $v.proxy.service.loadBalancerIP $v.proxy.service.loadBalancerSourceRanges) }}
{{- $errors = append $errors (printf "proxy.service.loadBalancerIP and loadBalancerSourceRanges say nothing to a Service of type %s: set proxy.service.type to LoadBalancer, or drop them." $v.proxy.service.type) }}
{{- end }}
{{- if and $v.tls.enabled (eq $v.tls.type "secret") (not $v.tls.secretName) }}
{{- $errors = append $errors "tls.type is secret without one: make it with `kubectl create secret tls` and name it in tls.secretName." }}
{{- end }}
{{- if and $v.tls.enabled (eq $v.tls.type "certManager") (not $v.tls.issuerRef.name) }}
{{- $errors = append $errors "tls.type is certManager without an issuer: name one in tls.issuerRef.name." }}
{{- end }}
{{- if ge (int $v.tls.renewBeforeDays) (int $v.tls.days) }}
{{- $errors = append $errors (printf "tls.renewBeforeDays (%d) is not less than tls.days (%d): every certificate would be made anew at once; lower it." (int $v.tls.renewBeforeDays) (int $v.tls.days)) }}
{{- end }}
{{- if and (include "kubelab.tls.ends" .) (or $v.ingress.enabled $v.httpRoute.enabled) }}
{{- $errors = append $errors "TLS ends in the proxy's pod, and an Ingress or HTTPRoute speaks HTTP to it, which would lead back to itself for ever: set tls.type to offload, or tls.enabled to false." }}
{{- end }}
{{- if and $v.tls.secretName (not (has $v.tls.type (list "secret" "certManager"))) }}
{{- $errors = append $errors (printf "tls.secretName names a Secret, and tls.type %s would write its own into it or ignore it: set tls.type to secret, or drop tls.secretName." $v.tls.type) }}
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.gateway.name) }}
{{- $errors = append $errors "httpRoute.enabled needs the Gateway it belongs to: set httpRoute.gateway.name." }}
{{- end }}
{{- $user := $v.networkPolicy.singleuser }}
{{- if and $user.packageCidrs (ne $user.egress "packages") }}
{{- $errors = append $errors (printf "networkPolicy.singleuser.packageCidrs says nothing to the preset %s: set networkPolicy.singleuser.egress to packages, or use extraEgress." $user.egress) }}
{{- end }}
{{- toJson $errors }}
{{- end }}
