{{- /* The hub, its traits and its culler that contradict each other: a JSON list of refusals. */ -}}
{{- define "kubelab.refusals.hub" -}}
{{- $errors := list }}
{{- $v := .Values }}
{{- if and $v.hub.admin.username $v.hub.admin.existingSecret }}
{{- $errors = append $errors "hub.admin.username and hub.admin.existingSecret are both set: the name comes from the Secret's key username, so drop hub.admin.username." }}
{{- end }}
{{- range $section, $traits := $v.hub.config }}
{{- if not (regexMatch "^[A-Z]" $section) }}
{{- $errors = append $errors (printf "hub.config.%s is no class: sections are class names, such as hub.config.%s." $section (title $section)) }}
{{- end }}
{{- end }}
{{- $owned := dict
  "JupyterHub.cookie_secret" "it is secret: put it into a Secret under cookie-secret and name that in hub.existingSecret"
  "CryptKeeper.keys" "they are secret: put one into a Secret under crypt-key and name that in hub.existingSecret"
  "ConfigurableHTTPProxy.auth_token" "it is secret: put it into a Secret under proxy-token and name that in hub.existingSecret"
  "JupyterHub.db_url" "the chart sets it: use database"
  "JupyterHub.base_url" "the chart sets it: use hub.baseUrl"
  "JupyterHub.services" "it would drop the culler: use hub.services"
  "JupyterHub.load_roles" "it would drop the culler's: use hub.loadRoles"
  "JupyterHub.template_paths" "it would drop the chart's pages: use hub.templatePaths"
  "KubeSpawner.profile_list" "the chart makes it: use pythons and singleuser.profileList"
  "KubeSpawner.volumes" "it would drop the home: use singleuser.storage.extraVolumes"
  "KubeSpawner.volume_mounts" "it would drop the home: use singleuser.storage.extraVolumeMounts"
}}
{{- range $trait, $remedy := $owned }}
{{- $parts := splitList "." $trait }}
{{- if hasKey (index $v.hub.config (first $parts) | default dict) (last $parts) }}
{{- $errors = append $errors (printf "hub.config.%s is refused; %s." $trait $remedy) }}
{{- end }}
{{- end }}

{{- range $section, $traits := omit $v.hub.config "DummyAuthenticator" }}
{{- range $trait, $value := $traits }}
{{- $name := printf "%s.%s" $section $trait }}
{{- if and (kindIs "string" $value) (regexMatch "(secret|password|token)$" $trait) (not (hasKey $owned $name)) }}
{{- $errors = append $errors (printf "hub.config.%s is secret, and would stand in a ConfigMap: put it into a Secret, hand it to the hub by hub.extraEnv with a valueFrom, and set the trait from os.environ in hub.extraConfig (OAuthenticator reads OAUTH_CLIENT_SECRET by itself)." $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- $authenticator := dig "JupyterHub" "authenticator_class" "" $v.hub.config | toString }}
{{- if regexMatch "(?i)dummy" $authenticator }}
{{- if not $v.hub.allowDummyAuthenticator }}
{{- $errors = append $errors "hub.config.JupyterHub.authenticator_class is dummy, which lets everybody in under any name: use native, or say hub.allowDummyAuthenticator: true as well." }}
{{- else if or (eq $v.proxy.service.type "LoadBalancer") $v.ingress.enabled $v.httpRoute.enabled }}
{{- $errors = append $errors "The dummy authenticator lets everybody in under any name, and the hub would be public: turn ingress, httpRoute and proxy.service.type LoadBalancer off, or use another authenticator." }}
{{- end }}
{{- end }}
{{- range $name := list "jupyterhub-idle-culler" }}
{{- if or (hasKey $v.hub.services $name) (hasKey $v.hub.loadRoles $name) }}
{{- $errors = append $errors (printf "%s is the culler's name: give the entry of hub.services or hub.loadRoles another." $name) }}
{{- end }}
{{- end }}

{{- if and $v.cull.enabled (gt (int $v.cull.every) (int $v.cull.timeout)) }}
{{- $errors = append $errors (printf "cull.every (%d s) is longer than cull.timeout (%d s): a server would run idle for far longer than said; set cull.every to a sixth of cull.timeout." (int $v.cull.every) (int $v.cull.timeout)) }}
{{- end }}
{{- toJson $errors }}
{{- end }}
