"""How the fused knowledge reaches the student."""
