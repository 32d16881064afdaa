"""Measurements of the runtime, printed as ratios beside a rival."""
