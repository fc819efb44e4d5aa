"""Questions become replies (runner), replies become scores (scores); they meet in a file."""
