"""Head held against the reference that the policy names: which commit that is, and its facts."""
