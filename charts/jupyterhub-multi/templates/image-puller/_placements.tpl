{{- /* Which image is wanted where: a JSON list of `image`, `nodeSelector` and `tolerations`, one entry for each way in which a
user's server can start, the default Python first: images are pulled in this order. */ -}}
{{- define "kubelab.imagePuller.placements" -}}
{{- $root := . }}
{{- $singleuser := .Values.singleuser }}
{{- $where := dict "nodeSelector" (include "kubelab.singleuser.nodeSelector" . | fromJson) "tolerations" (include "kubelab.singleuser.tolerations" . | fromJsonArray) }}
{{- $first := list }}
{{- $others := list }}
{{- range .Values.pythons }}
{{- $placement := merge (dict "image" (include "kubelab.python.image" (dict "root" $root "python" .))) $where }}
{{- if .default }}{{ $first = append $first $placement }}{{ else }}{{ $others = append $others $placement }}{{ end }}
{{- end }}
{{- $wanted := concat $first $others }}
{{- $default := first $wanted }}
{{- if .Values.prePuller.pullProfileListImages }}
{{- range $singleuser.profileList }}
{{- $wanted = concat $wanted (include "kubelab.imagePuller.ofProfile" (dict "profile" . "default" $default) | fromJsonArray) }}
{{- end }}
{{- end }}
{{- range $name, $extra := .Values.prePuller.extraImages }}
{{- $image := printf "%s:%s" $extra.name (toString $extra.tag) }}
{{- with $extra.digest }}{{ $image = printf "%s@%s" $image . }}{{ end }}
{{- $selector := hasKey $extra "nodeSelector" | ternary $extra.nodeSelector $where.nodeSelector }}
{{- $wanted = append $wanted (dict "image" $image "nodeSelector" $selector "tolerations" $where.tolerations) }}
{{- end }}
{{- toJson $wanted }}
{{- end }}

{{- /* The placements of one entry of singleuser.profileList: every choice of each of its options, after those before it. */ -}}
{{- define "kubelab.imagePuller.ofProfile" -}}
{{- $profile := .profile }}
{{- $found := list (include "kubelab.imagePuller.override" (dict "placement" .default "override" $profile.kubespawner_override) | fromJson) }}
{{- range $option := $profile.profile_options }}
{{- $before := $found }}
{{- /* What a user types in themselves overrides nothing that is known here. */ -}}
{{- $found = ternary $before list (or (not $option.choices) (dig "unlisted_choice" "enabled" false $option)) }}
{{- range $placement := $before }}
{{- range $option.choices }}
{{- $found = append $found (include "kubelab.imagePuller.override" (dict "placement" $placement "override" .kubespawner_override) | fromJson) }}
{{- end }}
{{- end }}
{{- $found = uniq $found }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{- /* A placement as KubeSpawner overrides it: a selector is merged, and loses a key that is null; all else is replaced. */ -}}
{{- define "kubelab.imagePuller.override" -}}
{{- $override := .override | default dict }}
{{- $selector := deepCopy .placement.nodeSelector }}
{{- range $key, $value := $override.node_selector }}
{{- if kindIs "invalid" $value }}{{ $_ := unset $selector $key }}{{ else }}{{ $_ := set $selector $key (toString $value) }}{{ end }}
{{- end }}
{{- $tolerations := .placement.tolerations }}
{{- if hasKey $override "tolerations" }}
{{- $tolerations = list }}
{{- range $override.tolerations }}
{{- $tolerations = append $tolerations (pick . "key" "operator" "value" "effect" "tolerationSeconds") }}
{{- end }}
{{- end }}
{{- dict "image" ($override.image | default .placement.image) "nodeSelector" $selector "tolerations" $tolerations | toJson }}
{{- end }}

{{- /* The placements by where they are: a JSON list of `id`, `name`, `nodeSelector`, `tolerations` and `images`. One that differs
from singleuser's is named by its content, so that a profile more or less renames no other. */ -}}
{{- define "kubelab.imagePuller.groups" -}}
{{- $groups := dict }}
{{- $default := "" }}
{{- range include "kubelab.imagePuller.placements" . | fromJsonArray }}
{{- $where := pick . "nodeSelector" "tolerations" }}
{{- $key := toJson $where }}
{{- $default = $default | default $key }}
{{- $images := list }}
{{- if hasKey $groups $key }}{{ $images = (get $groups $key).images }}{{ end }}
{{- $id := eq $key $default | ternary "singleuser" ($key | sha256sum | trunc 8) }}
{{- $name := eq $key $default | ternary (include "kubelab.imagePuller.name" $) (printf "%s-%s" (include "kubelab.imagePuller.name" $) $id) }}
{{- $_ := set $groups $key (merge (dict "id" $id "name" $name "images" (append $images .image | uniq)) $where) }}
{{- end }}
{{- $sorted := list }}
{{- range $groups }}{{ $sorted = append $sorted . }}{{ end }}
{{- toJson $sorted }}
{{- end }}
