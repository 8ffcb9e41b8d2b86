"""The codec: bytes to pixels and back. Imports none of the other packages."""
