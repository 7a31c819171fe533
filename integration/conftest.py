"""Fixtures that tests of several folders use."""

from integration.own_image import image_builder, own_base, own_image

__all__ = ["image_builder", "own_base", "own_image"]
