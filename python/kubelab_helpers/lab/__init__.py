"""A whole lab, from nothing to a hub that answers: what `kubelab up`, `down` and `status` do, in stages."""
