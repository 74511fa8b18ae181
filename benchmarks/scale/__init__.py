"""What a day of many repositories asks of GitHub: requests counted, arrivals simulated."""
