"""Audit a model of your own: how much of an image can be reconstructed from what the model sends out."""
