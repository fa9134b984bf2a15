"""GFP-GAN."""
