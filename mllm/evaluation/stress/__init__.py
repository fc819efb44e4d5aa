"""Attacks on a finished model, one file each: what is done to its weights, its pictures, or how
often it is asked. ``studies.stress`` runs them, ``studies.relearning`` trains a model further, and
a benchmark asks its questions in other forms.
"""
