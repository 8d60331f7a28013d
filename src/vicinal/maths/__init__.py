"""The ground: simplex, balls, losses, draws and mixtures. Pure functions of tensors, no model."""
