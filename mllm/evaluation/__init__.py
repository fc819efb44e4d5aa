"""Questions become replies (runner), replies become scores (scores); the two steps meet in a file."""
