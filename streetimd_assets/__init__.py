"""StreetIMD: how much of deprivation can be seen from the street?

A Dagster asset graph from roads to street images, CLIP embeddings, scene categories,
neighbourhood features and models of the Index of Multiple Deprivation.
"""

__version__ = "0.1.0"
