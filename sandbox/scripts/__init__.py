"""Bash that runs inside every sandbox: it needs bash and coreutils there, and nothing else."""
