"""What the executor decides, without I/O: identities, records, and the next step of a position's orders."""
