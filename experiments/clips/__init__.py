"""Studies on recordings: clips made of clips or from noise, and classifiers that see spectrograms."""
