"""Large and small multimodal models side by side (arXiv:2501.04150), on generated items."""
