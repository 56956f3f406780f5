"""PRETEND AND PROVE: the stand-in vendors, and the proofs."""
