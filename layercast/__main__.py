"""`python -m layercast`: the same as the `layercast` command."""

from layercast.cli import main

main()
