"""The short instructions that follow a question, by the form of its answer."""

INSTRUCTIONS = {"plain": "", "blank": " Fill in the blank.", "sentence": " Answer in one sentence."}
