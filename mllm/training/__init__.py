"""State, step, optimizer and loop: how an objective changes weights."""
