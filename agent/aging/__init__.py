"""What is left of old results and old calls: their summaries, by rule and without a model."""
