"""How ``sketch`` turns words into pictures.

reading        a prompt → things with counts, colours, relations; place, time, weather, style
               (vocabulary: the words; icons: finding a drawing by a word)
layout         things → places on the canvas (natures: how large things are, where they belong)
scene          all of it → one SVG document (stage, light, sky, land, scenery, colours)
raster         SVG → pixels
instructions   an edit's prompt → steps
editing        steps on pixels (styles, masks, pixels)
pictures       bytes and words in, bytes out; telling says what was understood
"""
