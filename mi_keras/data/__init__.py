"""Labelled images in, disjoint sets in [0, 1] out (thesis 3.3)."""
