"""A run over many machines: attempts go to the nodes of a Ray cluster, their files come back."""
