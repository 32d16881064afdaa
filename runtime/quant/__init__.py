"""Number formats: how packed weights become tensors."""
