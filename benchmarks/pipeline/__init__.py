"""The whole pipeline against an echo of the same hops, one after the other in the same stack."""
