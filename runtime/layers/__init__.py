"""The parts that models are made of, each a plain PyTorch module."""
