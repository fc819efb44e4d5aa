"""Colours as a camera or a scanner recorded them, brought to sRGB, which models are trained on."""

import io

from PIL import Image, ImageCms

MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}  # of an ICC colour space
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def as_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """Return an image in RGB or RGBA, its colours those of sRGB, and a note on how they were found.

    Args:
      image: with 8 bits a channel.
      profile: an ICC profile that says what its numbers mean; sRGB where None.

    Returns:
      The image, and "" where nothing had to be done. A profile that is damaged, or made for other
      channels than the image has, is not used, and the note says so.
    """
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    colours, note = image, ""
    if profile:
        colours, note = _converted(image, profile)
    elif image.mode == "CMYK":
        note = "printing colours (CMYK) without a profile; converted by the plain formula"
    colours = colours.convert("RGB")
    if alpha is not None:
        colours.putalpha(alpha)
    return colours, note


def _converted(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = " ".join(ImageCms.getProfileDescription(given).split())
        space = given.profile.xcolor_space
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        return image, f"its colour profile is damaged and was not used ({error})"
    if "sRGB" in name:
        return image, ""
    bare = _bare(image)
    if MODES.get(space) != bare.mode:
        found = f"its colour profile ({name or 'no name'}) is for {space.strip()}"
        return image, f"{found}, not for {bare.mode}, and was not used"
    try:
        converted = ImageCms.profileToProfile(bare, given, _SRGB, outputMode="RGB")
    except ImageCms.PyCMSError as error:
        return image, f"its colour profile ({name}) was not used ({error})"
    return converted, f"colours converted from {name or 'its profile'} to sRGB"


def _bare(image: Image.Image) -> Image.Image:
    """Return an image without its alpha, its palette written out."""
    if image.mode in ("1", "LA", "La"):
        return image.convert("L")
    return image.convert("RGB") if image.mode in ("P", "PA", "RGBA", "RGBa", "RGBX") else image
