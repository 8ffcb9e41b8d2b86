"""What a peer says, for a terminal: text that cannot steer it."""


def printable(text: str) -> str:
    """A text in one line, without control characters and without marks that turn the direction of writing."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())
