"""The pure decision core: from what is seen to what is to be done. No IO, no clock, no randomness, no logging."""
