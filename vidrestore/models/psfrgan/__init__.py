"""PSFR-GAN."""
