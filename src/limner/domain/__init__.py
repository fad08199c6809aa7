"""The facts and rules of image generation. Pure: the standard library only."""
