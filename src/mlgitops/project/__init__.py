"""Make, check, train and measure one project."""
