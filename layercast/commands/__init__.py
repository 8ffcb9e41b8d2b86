"""The commands of `layercast`, one module each; each imports what it runs when it runs."""
