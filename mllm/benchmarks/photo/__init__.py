"""PhotoEye and PhotoBench: seeing a photograph as a photographer does (arXiv 2509.18582)."""
