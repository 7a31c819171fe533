"""The admission webhook on the network: HTTPS, by certificates that change while it serves."""
