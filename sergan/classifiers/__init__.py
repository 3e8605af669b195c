"""Classifiers of emotion: of rows (`svm`, `dnn`), with the signature of `tasks.FitPredict`, and of clips."""
