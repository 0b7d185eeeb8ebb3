"""How the benchmark's runs and its table are made: ``ncore bench``."""
