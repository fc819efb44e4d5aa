"""What answers requests, how replies are kept on disk, and what is computed from them."""
