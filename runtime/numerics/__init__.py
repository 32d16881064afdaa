"""What a number format costs: errors layer by layer, and drift of the distributions at the end."""
