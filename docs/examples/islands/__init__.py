"""Islands: a picture shows the flag of one of four islands, and a model names its capital."""
