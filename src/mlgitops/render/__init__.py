"""A report to text: the comment, the terminal."""
