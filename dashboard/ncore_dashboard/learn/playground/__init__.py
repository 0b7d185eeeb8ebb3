"""The playground: a small network in NumPy, its training, its settings and its pictures."""
