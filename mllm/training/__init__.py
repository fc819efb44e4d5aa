"""State, step, optimizer and loop: how any objective of ``mllm.unlearning`` changes weights."""
