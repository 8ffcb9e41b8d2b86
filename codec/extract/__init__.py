"""Encoder side only: from a photo to what the layers encode. Nothing here runs when a stream is decoded."""
