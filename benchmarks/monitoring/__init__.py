"""A year of real flights by day, what is simulated from it, and the rules that are compared."""
