"""What a model's owner does to its output vectors before others see them."""
