"""Where reasoning is lost: what layers hold of a sound and of the name of its kind."""
