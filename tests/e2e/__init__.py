"""What a lab must do, asked of a real cluster: `kubelab up` first, then these. Without a lab they fail, never skip."""
