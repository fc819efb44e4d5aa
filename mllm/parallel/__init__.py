"""The only room that names mesh axes."""
