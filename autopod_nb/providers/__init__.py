"""Those who rent out pods: one module each, one contract for all."""
