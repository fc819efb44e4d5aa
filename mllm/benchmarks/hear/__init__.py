"""What do MLLMs hear? Sounds against what a language model knows of them (arXiv 2406.04615)."""
