"""Draws illustrations of English prompts from icons, and edits pictures by rules: no neural network, no network.

It knows nothing of the service that uses it. ``paint`` and ``edit`` are all that is meant for others; inside:

painter        the two functions
reading        a prompt → things with counts, colours, relations; place, time, weather, style
               (vocabulary: the words; icons: finding a drawing by a word)
layout         things → places on the canvas (natures: how large things are, where they belong)
scene          all of it → one SVG document (stage, light, sky, land, scenery, colours)
raster         SVG → pixels
instructions   an edit's prompt → steps
editing        steps on pixels (styles, masks, pixels)
telling        what was understood, in plain words
"""

from sketch.painter import Painted, edit, paint

__all__ = ["Painted", "edit", "paint"]
