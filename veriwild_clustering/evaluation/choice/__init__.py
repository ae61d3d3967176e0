"""Choice of the best partition without knowing the truth: the evidence, the rules, their ranking and the reasons."""
