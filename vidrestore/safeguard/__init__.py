"""Do no harm: how much of a restored face may be taken, and why less than all."""
