"""The benchmark: real candidates on real data, and how well every method ranks them."""
