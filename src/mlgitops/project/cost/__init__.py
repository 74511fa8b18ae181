"""What training and predicting cost, measured."""
