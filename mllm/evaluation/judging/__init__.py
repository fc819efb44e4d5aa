"""Judges of free replies, behind one interface: rules, embeddings, a model that is asked."""
