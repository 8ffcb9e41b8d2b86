"""How the renderers' weights are learnt. Needs the extra `train`."""
