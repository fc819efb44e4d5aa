"""From a prompt to answers: a prefix computed once, branched into scores and generations."""
