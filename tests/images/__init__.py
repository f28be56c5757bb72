"""What every built image must hold to, asked of the image itself."""
