"""Triton kernels. Importing a module of this folder needs Triton; nothing else may need them."""
