"""What `weft build` has Python do. None of it is part of a plugin."""
