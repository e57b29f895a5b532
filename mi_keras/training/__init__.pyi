from .classifier import train_classifier as train_classifier
