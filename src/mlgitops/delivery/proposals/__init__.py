"""What an environment should serve next, as a pull request: a promotion, or the way back."""
