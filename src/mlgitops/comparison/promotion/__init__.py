"""A change of what an environment wants: which models these are, and their facts side by side."""
