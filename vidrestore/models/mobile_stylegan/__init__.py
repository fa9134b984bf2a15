"""MobileStyleGAN (Belousov 2021): a face generator distilled from StyleGAN2, small to ship."""
