"""The audit of a user's own model: what can be rebuilt of an image from what the model sends out."""
