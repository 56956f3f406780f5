"""The vendors over real HTTP on loopback, from one simulated company whose bill is known."""
