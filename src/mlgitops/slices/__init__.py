"""Slices and fairness: what a policy may ask of groups, measured, judged."""
