"""zero-to-jupyterhub's values that have another name here, or none: the table behind `kubelab chart import-values`.

What is in neither map and in the chart's schema means the same under the same name. The keys are those of
https://github.com/jupyterhub/zero-to-jupyterhub-k8s/blob/4.3.1/jupyterhub/values.schema.yaml
"""

from __future__ import annotations

RENAMED = {
    "hub.db.pvc.annotations": "database.pvc.annotations",
    "hub.db.pvc.storage": "database.pvc.storage",
    "hub.db.pvc.storageClassName": "database.pvc.storageClassName",
    "hub.image.pullPolicy": "images.pullPolicy",
    "hub.networkPolicy.egress": "networkPolicy.hub.extraEgress",
    "hub.networkPolicy.ingress": "networkPolicy.hub.extraIngress",
    "proxy.annotations": "proxy.chp.annotations",
    "proxy.chp.networkPolicy.egress": "networkPolicy.proxy.extraEgress",
    "proxy.chp.networkPolicy.ingress": "networkPolicy.proxy.extraIngress",
    "proxy.labels": "proxy.chp.labels",
    "singleuser.networkPolicy.egress": "networkPolicy.singleuser.extraEgress",
    "singleuser.networkPolicy.ingress": "networkPolicy.singleuser.extraIngress",
}
"""The name here, by theirs; a map below it moves as a whole."""

_IMAGE = "the images are kubelab's own: `images.registry` moves them, and `images` pins each"
_RESTRICTED = "every pod keeps to the Pod Security Standard `restricted`"
_AUTOSCALED = "for clusters that grow and shrink by themselves; the cluster's own scheduler places users here"
_HOOK = "images are pulled outside of hooks, by prePuller.continuous"
_ONE_SWITCH = "networkPolicy.enabled is the one switch of all policies, and is on"
_TLS = "nginx ends TLS in the proxy's pod: see `tls`"
_PROBES = "the probes are fixed; a slow start has two minutes"
_STRATEGY = "there is one pod, and an upgrade replaces it"
_ACCOUNT = "each component has an account of its own with what it uses, made by the chart"
_ELSEWHERE = "it is secret: put it into a Secret of your own and name that in"

ABSENT = {
    "enabled": "a chart that has this one as a part sets it in its own dependencies",
    "fullnameOverride": "every name begins with the release's",
    "nameOverride": "every name begins with the release's",
    "global": "no template reads it",
    "imagePullSecret": "make it with `kubectl create secret docker-registry` and name it in imagePullSecrets",
    "rbac": _ACCOUNT,
    "hub.args": "the hub's command is the chart's",
    "hub.command": "the hub's command is the chart's",
    "hub.containerSecurityContext": _RESTRICTED,
    "hub.cookieSecret": f"{_ELSEWHERE} hub.existingSecret, under cookie-secret",
    "hub.db.password": "PostgreSQL and MySQL are not supported yet",
    "hub.db.pvc.accessModes": "there is one hub, so its claim is ReadWriteOnce",
    "hub.db.pvc.selector": "name a class in database.pvc.storageClassName",
    "hub.db.pvc.subPath": "the claim is the hub's alone",
    "hub.db.upgrade": "the hub upgrades its database by itself, after it has copied it",
    "hub.db.url": "PostgreSQL and MySQL are not supported yet",
    "hub.deploymentStrategy": _STRATEGY,
    "hub.existingSecret": "the keys have other names: make a Secret with cookie-secret, crypt-key and proxy-token",
    "hub.fsGid": "the image's own group, 1000",
    "hub.image": _IMAGE,
    "hub.livenessProbe": _PROBES,
    "hub.networkPolicy": _ONE_SWITCH,
    "hub.pdb.minAvailable": "with one pod it would keep every node with a hub from being drained: use maxUnavailable",
    "hub.podSecurityContext": _RESTRICTED,
    "hub.readinessProbe": _PROBES,
    "hub.revisionHistoryLimit": "Kubernetes keeps ten",
    "hub.service": "the hub's Service is for the cluster's inside; use proxy.service",
    "hub.serviceAccount": _ACCOUNT,
    "proxy.chp.containerSecurityContext": _RESTRICTED,
    "proxy.chp.defaultTarget": "the hub is the target",
    "proxy.chp.errorTarget": "the hub has the error pages",
    "proxy.chp.image": _IMAGE,
    "proxy.chp.livenessProbe": _PROBES,
    "proxy.chp.networkPolicy": _ONE_SWITCH,
    "proxy.chp.pdb.minAvailable": "with one pod it would keep its node from being drained: use maxUnavailable",
    "proxy.chp.readinessProbe": _PROBES,
    "proxy.chp.revisionHistoryLimit": "Kubernetes keeps ten",
    "proxy.deploymentStrategy": _STRATEGY,
    "proxy.secretSync": _TLS,
    "proxy.secretToken": f"{_ELSEWHERE} hub.existingSecret, under proxy-token",
    "proxy.service.disableHttpPort": "with `tls` HTTP only leads to HTTPS",
    "proxy.traefik": _TLS,
    "singleuser.allowPrivilegeEscalation": _RESTRICTED,
    "singleuser.cloudMetadata": "networkPolicy.singleuser.egress blocks it, without a privileged container",
    "singleuser.networkPolicy": _ONE_SWITCH,
    "singleuser.networkTools": "networkPolicy.singleuser.egress blocks the metadata server without it",
    "scheduling.podPriority.userPlaceholderPriority": _AUTOSCALED,
    "scheduling.userPlaceholder": _AUTOSCALED,
    "scheduling.userScheduler": _AUTOSCALED,
    "prePuller.containerSecurityContext": _RESTRICTED,
    "prePuller.hook": _HOOK,
    "prePuller.pause": _IMAGE,
    "prePuller.revisionHistoryLimit": "Kubernetes keeps ten",
}
"""What stands instead, by the key, for it and for all below it that has no name here."""

SECRET_TRAITS = {
    "JupyterHub.cookie_secret": "cookie-secret",
    "CryptKeeper.keys": "crypt-key",
    "ConfigurableHTTPProxy.auth_token": "proxy-token",
}
"""Traits that are secret, and their key in the Secret of hub.existingSecret."""

SECRET_ENDS = ("secret", "secrets", "password", "passwords", "token", "tokens", "api_key", "apikey")
"""How names end, in small letters, that secrets stand under."""

OWN_TRAITS = {
    "ConfigurableHTTPProxy.api_url": "the chart sets it",
    "JupyterHub.base_url": "use hub.baseUrl",
    "JupyterHub.db_url": "the chart sets it, by database",
    "JupyterHub.load_roles": "use hub.loadRoles",
    "JupyterHub.services": "use hub.services; each has its token in a Secret",
    "JupyterHub.template_paths": "use hub.templatePaths",
    "KubeSpawner.profile_list": "use singleuser.profileList",
    "KubeSpawner.volume_mounts": "use singleuser.storage.extraVolumeMounts",
    "KubeSpawner.volumes": "use singleuser.storage.extraVolumes",
}
"""Traits that the chart refuses, because it makes them itself, and what to use instead."""

OTHER_DEFAULTS = {
    "hub.config.JupyterHub.authenticator_class": ("dummy", "native: people sign up, and an admin approves them"),
    "hub.db.pvc.storage": ("1Gi", "10Gi"),
    "hub.resources": ("none", "requests and limits"),
    "prePuller.hook.enabled": ("true", "no install waits for a pull"),
    "proxy.service.type": ("LoadBalancer", "NodePort, 30080 on every node"),
    "scheduling.userScheduler.enabled": ("true", "the cluster's own scheduler"),
    "singleuser.cpu.limit": ("none", "2 cores"),
    "singleuser.defaultUrl": ("the server's own", "/lab"),
    "singleuser.image": ("a sample image", "an image for each entry of `pythons`"),
    "singleuser.memory.guarantee": ("1G", "256M"),
    "singleuser.memory.limit": ("none", "2G"),
    "singleuser.storage.capacity": ("10Gi", "5Gi"),
}
"""Where one who says nothing gets something else: by key, their default and ours."""
