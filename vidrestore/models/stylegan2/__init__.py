"""StyleGAN2 (Karras et al. 2020) in plain torch: the generative prior and its discriminator."""
