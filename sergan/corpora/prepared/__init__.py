"""Corpora as tensorflow-datasets sets: audio decoded once and read by index, without TensorFlow."""

from sergan.corpora.prepared.clips import Clip, Clips, Entry
from sergan.corpora.prepared.sets import VERSION, Prepared
from sergan.corpora.prepared.stock import PREFIX, Stock
from sergan.corpora.prepared.store import prepare, read

__all__ = ["PREFIX", "VERSION", "Clip", "Clips", "Entry", "Prepared", "Stock", "prepare", "read"]
