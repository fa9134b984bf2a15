"""Repair of whole frames: brightness flicker, dust and scratches of film."""
