"""The shell around the core: one worker per pod, and what it needs to carry decisions out."""
