"""Classifiers of emotion from rows; each has the signature of `tasks.FitPredict`."""
