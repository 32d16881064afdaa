"""A random model of Rnj-1's shape, made where it runs, and what is measured of it."""
