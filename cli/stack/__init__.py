"""`trader up`: which processes make up a stack, in which order, and what a person sees of it."""
