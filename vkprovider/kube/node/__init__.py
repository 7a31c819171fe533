"""The Node: what it is to look like, how it joins, is registered and kept true, and which pods it lets in."""
