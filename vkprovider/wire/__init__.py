"""Wire formats without any IO: bytes in, frames out."""
