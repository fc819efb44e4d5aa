"""Read published weights into our models, and read and write our checkpoints."""
