"""What is copied into a finished model's folder: modules that need PyTorch and the model's library, and no ncore."""
