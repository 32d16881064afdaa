"""The processor's kernels: C, built on the machine that it runs on, and called on data pointers."""
