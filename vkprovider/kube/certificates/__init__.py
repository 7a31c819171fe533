"""Certificates from the cluster's signers and from authorities of vkprovider's own: asked for, kept, renewed."""
