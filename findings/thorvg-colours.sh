#!/usr/bin/env bash
# Finding: ThorVG (in thorvg-python 1.1.3) paints a fill written rgba(), hsla(), #rrggbbaa or `transparent`, all of CSS
# and so of SVG 2, as opaque black, and reports success for loading and drawing: a drawing that browsers show in soft
# colours gets black patches, and nothing tells. rgb(), hsl(), #rrggbb and the names of SVG 1.1 are painted right.
# Exits with 0 while that is so, with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "thorvg-python==1.1.3"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from thorvg_python.base import Colorspace
from thorvg_python.canvas.sw import SwCanvas
from thorvg_python.engine import Engine
from thorvg_python.paint.picture import Picture

engine = Engine(threads=0)
print("thorvg-python", version("thorvg-python"), "· ThorVG", engine.version()[1:])


def painted(fill):
    """The middle pixel, as red, green, blue, alpha, of a square with this fill; and what ThorVG says."""
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><path fill="{fill}" d="M0 0H4V4H0z"/></svg>'
    canvas = SwCanvas(engine)
    canvas.set_target(4, 4, cs=Colorspace.ABGR8888S)
    picture = Picture(engine)
    said = [picture.load_data(svg.encode(), "svg", None, copy=True)]
    picture.set_size(4, 4)
    said += [canvas.add(picture), canvas.draw(clear=True), canvas.sync()]
    pixel = tuple(bytes(canvas.buffer_arr)[40:44])
    canvas.destroy()
    return pixel, {result.name for result in said}


EXPECTED = {
    "#ff0000": (255, 0, 0, 255),
    "rgb(255, 0, 0)": (255, 0, 0, 255),
    "red": (255, 0, 0, 255),
    "hsl(0, 100%, 50%)": (255, 0, 0, 255),
    "rgba(255, 0, 0, 0.5)": (255, 0, 0, 128),
    "hsla(0, 100%, 50%, 0.5)": (255, 0, 0, 128),
    "#ff000080": (255, 0, 0, 128),
    "#f008": (255, 0, 0, 136),
    "transparent": (0, 0, 0, 0),
    "tomato": (255, 99, 71, 255),
    "rebeccapurple": (102, 51, 153, 255),
}
BLACK = {"rgba(255, 0, 0, 0.5)", "hsla(0, 100%, 50%, 0.5)", "#ff000080", "#f008", "transparent", "rebeccapurple"}
changed = False
for fill, wanted in EXPECTED.items():
    pixel, said = painted(fill)
    right = all(abs(one - other) <= 2 for one, other in zip(pixel, wanted))
    print(f"{fill:26} painted {pixel!s:22} {'as asked' if right else f'instead of {wanted}'}; says {', '.join(said)}")
    changed |= said != {"SUCCESS"} or (pixel != (0, 0, 0, 255) if fill in BLACK else not right)
sys.exit("The behaviour has changed." if changed else 0)
PYTHON
