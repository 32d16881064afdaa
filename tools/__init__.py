"""What the model may call: bash first, then edit and submit."""
