"""Looking into pictures and re-encoding them."""
