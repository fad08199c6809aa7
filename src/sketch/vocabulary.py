"""The words that ``sketch`` understands beside the names of icons. Data only: adding a word is adding it here."""

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NUMBERS: Final = {
    "a": 1, "an": 1, "one": 1, "single": 1, "lone": 1, "lonely": 1, "two": 2, "both": 2, "couple": 2, "pair": 2,
    "three": 3, "several": 4, "few": 3, "some": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "dozen": 12, "many": 7, "lots": 7, "group": 4, "herd": 5,
    "flock": 6, "bunch": 4, "row": 4, "school": 6, "pile": 5, "bouquet": 5, "team": 4, "family": 3, "pack": 4,
}  # fmt: skip
"""How many of a thing a word means."""

ARTICLES: Final = _words("a an")

ENGLISH: Final = _words("a an the of in on at with and under over by to from is are its his her while for into")
"""Words that tell that a text is English."""

FOREIGN: Final = _words(
    """
    der das dem den des und ein eine einen einem einer eines im am auf mit ist von vom zum zur bei beim über unter
    le la les un une du dans avec et sur au aux est el los las uno una unos con en del de por il lo gli nel nella
    della di che e os um uma na da dos das em het een van bij naar og på med det ett
    """
)
"""Words that tell that a text is German, French, Spanish, Italian, Portuguese, Dutch or Scandinavian."""

COUNTERS: Final = _words(
    """
    couple pair group herd flock bunch row school pile team family pack dozen bouquet
    """
)
"""Numbers that are nouns of their own unless ``of`` follows."""

MOST_OF_A_THING: Final = 12

COLOURS: Final = {
    "red": "#e03131", "crimson": "#c2183c", "scarlet": "#e6291f", "orange": "#f5841f", "yellow": "#f8cf2c",
    "golden": "#e8b028", "gold": "#e8b028", "green": "#37a84a", "lime": "#9bd32f", "olive": "#84892e",
    "emerald": "#1fa36b", "mint": "#82dcb2", "teal": "#17908e", "turquoise": "#2cc5c0", "cyan": "#25c3de",
    "blue": "#2f78e0", "navy": "#25407f", "azure": "#3d9df0", "indigo": "#4a4fc4", "purple": "#8c46c8",
    "violet": "#8f55dd", "lavender": "#b39be8", "lilac": "#bb94dc", "magenta": "#d73aa8", "pink": "#f27fb2",
    "rose": "#ea6f92", "brown": "#8a5a3a", "beige": "#dcc7a0", "tan": "#cfa878", "black": "#2b2b30",
    "white": "#f6f6f4", "grey": "#8f949b", "gray": "#8f949b", "silver": "#bcc3cc", "bronze": "#b0793f",
    "peach": "#fbb795", "coral": "#ff7f60", "maroon": "#7d2231", "blonde": "#ecd079", "ginger": "#d9762e",
}  # fmt: skip

SIZES: Final = {
    "tiny": 0.5, "little": 0.7, "small": 0.7, "miniature": 0.5, "mini": 0.6, "baby": 0.65, "big": 1.3, "large": 1.3,
    "huge": 1.6, "giant": 1.75, "gigantic": 1.75, "enormous": 1.7, "massive": 1.6, "tall": 1.3, "great": 1.2,
}  # fmt: skip
"""How much larger than usual an adjective makes a thing."""

SETTINGS: Final = {
    "meadow": "meadow", "field": "meadow", "grass": "meadow", "grassland": "meadow", "pasture": "meadow",
    "countryside": "hills", "park": "park", "lawn": "park", "hill": "hills", "hills": "hills", "hillside": "hills",
    "valley": "mountains", "landscape": "hills", "farm": "farm", "farmland": "farm", "village": "village",
    "town": "village", "garden": "garden", "flower field": "garden", "field of flowers": "garden",
    "flower meadow": "garden", "full of flowers": "garden", "backyard": "garden", "orchard": "park",
    "vineyard": "farm",
    "mountain": "mountains", "mountains": "mountains", "mountain range": "mountains", "peak": "mountains",
    "peaks": "mountains", "alps": "mountains", "cliff": "mountains", "mountaintop": "mountains",
    "forest": "forest", "woods": "forest", "woodland": "forest", "jungle": "jungle", "rainforest": "jungle",
    "sea": "sea", "ocean": "sea", "waves": "sea", "wave": "sea", "harbor": "sea", "harbour": "sea", "coast": "beach",
    "beach": "beach", "seaside": "beach", "shore": "beach", "island": "beach", "sand": "beach", "bay": "sea",
    "lake": "lake", "pond": "lake", "river": "lake", "stream": "lake", "lakeside": "lake", "water": "lake",
    "desert": "desert", "dunes": "desert", "dune": "desert", "savanna": "savanna", "savannah": "savanna",
    "safari": "savanna", "africa": "savanna", "sahara": "desert", "egypt": "desert",
    "city": "city", "skyline": "city", "downtown": "city", "cityscape": "city", "metropolis": "city",
    "skyscrapers": "city", "new york": "city", "tokyo": "city", "street": "street", "road": "street",
    "highway": "street", "avenue": "street", "alley": "street", "road trip": "street",
    "space": "space", "outer space": "space", "galaxy": "space", "universe": "space", "cosmos": "space",
    "nebula": "space", "orbit": "space", "moon landing": "lunar", "on the moon": "lunar", "lunar": "lunar",
    "mars": "martian", "on mars": "martian", "red planet": "martian",
    "underwater": "underwater", "under the sea": "underwater", "coral reef": "underwater", "reef": "underwater",
    "deep sea": "underwater", "seabed": "underwater", "aquarium": "underwater", "under water": "underwater",
    "room": "room", "bedroom": "room", "living room": "room", "indoors": "room", "inside": "room", "home": "room",
    "kitchen": "room", "office": "room", "cafe": "room", "library": "room", "classroom": "room", "studio": "room",
    "still life": "table", "on a table": "table", "on the table": "table", "on a wooden table": "table",
    "tabletop": "table", "desk": "table", "on a desk": "table", "plate": "table",
    "in the sky": "clouds", "above the clouds": "clouds", "in the clouds": "clouds", "among the clouds": "clouds",
    "arctic": "snowfield", "antarctica": "snowfield", "ice": "snowfield", "north pole": "snowfield",
    "tundra": "snowfield", "glacier": "snowfield", "winter": "snowfield", "winter wonderland": "snowfield",
    "abstract": "abstract", "background": "abstract", "wallpaper": "abstract", "pattern": "pattern",
}  # fmt: skip
"""Where a picture plays → the drawing of that place."""

TIMES: Final = {
    "night": "night", "nighttime": "night", "midnight": "night", "moonlight": "night", "moonlit": "night",
    "starry": "night", "stars": "night", "starlight": "night", "dark": "night", "nocturnal": "night",
    "moon": "night", "full moon": "night", "crescent moon": "night", "milky way": "night",
    "northern lights": "aurora",
    "aurora": "aurora", "aurora borealis": "aurora", "evening": "dusk", "dusk": "dusk", "twilight": "dusk",
    "blue hour": "dusk", "sunset": "sunset", "sundown": "sunset", "golden hour": "sunset", "setting sun": "sunset",
    "dawn": "dawn", "sunrise": "dawn", "morning": "dawn", "daybreak": "dawn", "early morning": "dawn",
    "noon": "noon", "midday": "noon", "daylight": "noon", "day": "noon", "daytime": "noon", "sunny": "noon",
    "sunshine": "noon", "sunlight": "noon", "sun": "noon", "blue sky": "noon", "clear sky": "noon",
}  # fmt: skip

WEATHERS: Final = {
    "rain": "rain", "raining": "rain", "rainy": "rain", "rainfall": "rain", "drizzle": "rain", "wet": "rain",
    "downpour": "rain", "snow": "snow", "snowing": "snow", "snowy": "snow", "snowfall": "snow", "blizzard": "snow",
    "snowflakes": "snow", "fog": "fog", "foggy": "fog", "mist": "fog", "misty": "fog", "haze": "fog", "hazy": "fog",
    "storm": "storm", "stormy": "storm", "thunderstorm": "storm", "thunder": "storm", "lightning": "storm",
    "wind": "wind", "windy": "wind", "breeze": "wind", "cloudy": "cloudy", "overcast": "cloudy", "clouds": "cloudy",
    "cloud": "cloudy", "rainbow": "rainbow",
}  # fmt: skip

STYLES: Final = {
    "watercolor": "watercolour", "watercolour": "watercolour", "aquarelle": "watercolour", "pastel": "pastel",
    "pastels": "pastel", "soft colors": "pastel", "soft colours": "pastel", "dreamy": "pastel", "cute": "pastel",
    "kawaii": "pastel", "neon": "neon", "cyberpunk": "neon", "synthwave": "neon", "vaporwave": "neon",
    "vintage": "vintage", "retro": "vintage", "old photo": "vintage", "sepia": "vintage", "antique": "vintage",
    "nostalgic": "vintage", "minimalist": "minimal", "minimal": "minimal", "minimalistic": "minimal",
    "simple": "minimal", "black and white": "mono", "black-and-white": "mono", "monochrome": "mono",
    "grayscale": "mono", "greyscale": "mono", "noir": "mono", "pop art": "pop", "vibrant": "pop", "vivid": "pop",
    "colorful": "pop", "colourful": "pop", "comic": "pop", "autumn": "autumn", "fall": "autumn", "autumnal": "autumn",
    "spring": "spring", "blueprint": "blueprint", "pencil sketch": "pencil", "pencil drawing": "pencil",
    "charcoal": "pencil", "line drawing": "pencil", "oil painting": "oil", "impressionist": "oil", "painterly": "oil",
    "pixel art": "pixel", "8-bit": "pixel", "low poly": "minimal", "spooky": "eerie", "haunted": "eerie",
    "halloween": "eerie", "gothic": "eerie", "gloomy": "eerie", "moody": "eerie",
}  # fmt: skip
"""How a picture looks → the grading that comes nearest to it."""

RELATIONS: Final = {
    "on": "on", "on top of": "on", "onto": "on", "atop": "on", "riding": "on", "riding on": "on", "sitting on": "on",
    "standing on": "on", "lying on": "on", "sleeping on": "on", "in": "in", "inside": "in", "inside of": "in",
    "into": "in", "under": "under", "underneath": "under", "beneath": "under", "below": "under", "above": "above",
    "over": "above", "hovering over": "above", "flying over": "above", "jumping over": "above", "behind": "behind",
    "in front of": "before", "before": "before", "next to": "beside", "beside": "beside", "near": "beside",
    "by": "beside", "alongside": "beside", "left of": "left", "to the left of": "left", "on the left of": "left",
    "right of": "right", "to the right of": "right", "on the right of": "right", "holding": "holding",
    "carrying": "holding", "playing": "holding", "eating": "holding", "reading": "holding", "drinking": "holding",
    "with": "with", "and": "and", "wearing": "wearing",
}  # fmt: skip
"""How the thing before a word lies to the thing after it."""

PLACES: Final = {
    "on the left": "left", "at the left": "left", "to the left": "left", "left side": "left", "on the right": "right",
    "at the right": "right", "to the right": "right", "right side": "right", "in the middle": "centre",
    "in the center": "centre", "in the centre": "centre", "centered": "centre", "in the foreground": "front",
    "in the background": "back", "in the distance": "back", "far away": "back", "on the horizon": "back",
    "flying": "sky", "soaring": "sky", "floating": "sky", "hovering": "sky", "in the air": "sky",
    "overhead": "sky", "swimming": "water",
}  # fmt: skip
"""Where in the picture the nearest thing is."""

FILLERS: Final = _words(
    """
    the of and or at to for from as is are am be was were being been this that these those it its his her their
    our my your with by into through there which who while when where just very really so too quite please me us
    we i you draw drawn drawing paint painted painting picture image photo photograph photography illustration
    art artwork render rendering scene view show showing shows featuring make create generate sketch portrait
    depict depicting cartoon icon icons emoji vector flat design style styled look looking up down out off
    toward towards around among between against along across sitting sit sits standing stand stands walking walk
    walks running run runs lying lays playing play plays eating sleeping sleeps smiling wide shot close angle
    front back side top bottom background foreground color colors colour colours has have having some any all
    full lot no not without only s t turn change replace apply set give gives add put convert transform remove
    let want like using use used
    """
)
"""Words that call for nothing to be drawn and are not worth a mention."""

UNDRAWABLE: Final = _words(
    """
    old young happy sad angry sleepy cute fluffy sharp cool warm hot cold epic magic magical ancient modern
    abandoned broken metal golden shiny rusty clean dirty fresh delicious tasty sweet spicy fast slow style soft
    hard light heavy pattern high low best good bad nice award professional studio top view aerial shot wide
    wild peaceful calm serene quiet busy empty full bright glowing manga anime cartoon clay paper steam power
    energy peace freedom dream life death war success business science history future family birthday festival
    holiday vacation way wall roof floor corner circle square triangle shape logo text words letter sign symbol
    brand banner card cover lonely lovely pretty funny scary strange quick brave strong weak rich poor fat thin
    round flat deep shallow strange wooden colored coloured striped spotted sleeping awake alone together next
    last first second third new used open closed real fake digital natural urban rural tropical exotic luxury
    elegant fancy cozy cosy sunny mystery mysterious mystical dense thick misty quaint rustic bustling close
    macro detail details detailed texture dramatic volumetric lighting render engine octane award-winning
    masterpiece quality resolution highly ultra super mega photographer wearing holding friends kiss day week
    month year hour minute time moment part side part piece whole half feeling mood vibe joy luck beauty nature
    world environment animal animals pet food fruit fruits vegetable vegetables vehicle transport place wonder
    wonderland hero story tale magic-hour lens bokeh focus camera-angle meters tall wide long short love-story
    """
)
"""Words whose keywords would lead to a picture of something else."""

POLITE: Final = _words(
    """
    please can could you would the this that it its picture image photo photos pictures images and then also a an to
    of in with make turn into look looks like my more bit little slightly much very lot on for at by these those two
    three four all both them i want me give set apply effect filter style some put be is so convert change left right
    from
    """
)
"""Words of an instruction that are not worth a mention when nothing is done for them."""

FEATURES: Final = {
    "sun": "sun", "moon": "full-moon", "full moon": "full-moon", "crescent moon": "crescent-moon", "stars": "stars",
    "starry": "stars", "starry sky": "stars", "milky way": "stars", "setting sun": "sun", "sunset": "sun",
    "sunrise": "sun", "rainbow": "rainbow", "clouds": "clouds", "cloud": "clouds",
}  # fmt: skip
"""Things of the sky, which the sky itself shows."""

ALIASES: Final = {
    "boat": "sailboat", "sailing boat": "sailboat",
    "sailing ship": "sailboat", "ship": "ship", "yacht": "sailboat", "rowboat": "canoe", "fishing boat": "canoe",
    "kayak": "canoe", "tree": "deciduous-tree", "oak": "deciduous-tree", "pine": "evergreen-tree",
    "pine tree": "evergreen-tree", "fir": "evergreen-tree", "bush": "herb", "flower": "blossom", "daisy": "blossom",
    "poppy": "hibiscus", "lily": "lotus", "car": "automobile", "sports car": "racing-car", "van": "minibus",
    "truck": "delivery-truck", "lorry": "articulated-lorry", "bridge": "bridge-at-night", "plane": "airplane",
    "airplane": "airplane", "aeroplane": "airplane", "jet": "airplane", "spaceship": "rocket",
    "spacecraft": "rocket", "space shuttle": "rocket", "ufo": "flying-saucer", "planet": "ringed-planet",
    "saturn": "ringed-planet", "earth": "globe-showing-europe-africa", "globe": "globe-showing-europe-africa",
    "world": "globe-showing-europe-africa", "balloon": "balloon", "hot air balloon": "hot-air-balloon",
    "air balloon": "hot-air-balloon", "moon": "full-moon", "star": "star", "coffee": "hot-beverage",
    "cup of coffee": "hot-beverage", "coffee cup": "hot-beverage", "mug": "hot-beverage", "cup": "hot-beverage",
    "cup of tea": "teacup-without-handle", "tea": "teacup-without-handle", "teacup": "teacup-without-handle",
    "cake": "birthday-cake", "beer": "beer-mug", "wine": "wine-glass", "glass of wine": "wine-glass",
    "bottle": "bottle-with-popping-cork", "champagne": "bottle-with-popping-cork", "orange": "tangerine",
    "apple": "red-apple", "cherry": "cherries", "grape": "grapes", "cheese": "cheese-wedge",
    "corn": "ear-of-corn", "pepper": "bell-pepper", "burger": "hamburger", "noodles": "steaming-bowl",
    "ramen": "steaming-bowl", "soup": "pot-of-food", "salad": "green-salad", "ice cream": "soft-ice-cream",
    "donut": "doughnut", "sandwich": "sandwich", "steak": "cut-of-meat", "chocolate": "chocolate-bar",
    "man": "man-standing", "guy": "man-standing", "gentleman": "person-in-tuxedo", "woman": "woman-standing",
    "lady": "woman-standing", "person": "person-standing", "human": "person-standing", "people": "person-standing",
    "someone": "person-standing", "hiker": "person-walking", "traveler": "person-walking", "kid": "child",
    "king": "person-with-crown", "queen": "person-with-crown", "knight": "person-fencing",
    "warrior": "person-fencing",
    "wizard": "mage", "sorcerer": "mage", "witch": "woman-mage", "doctor": "health-worker", "nurse": "health-worker",
    "chef": "cook", "fireman": "firefighter", "policeman": "police-officer", "policewoman": "police-officer",
    "police officer": "police-officer", "soldier": "guard", "sailor": "person-rowing-boat", "painter": "artist",
    "musician": "singer", "runner": "person-running", "dancer": "woman-dancing", "skater": "skateboard",
    "surfer": "person-surfing", "cyclist": "person-biking", "swimmer": "person-swimming", "ninja": "ninja",
    "superhero": "superhero", "santa": "santa-claus", "angel": "baby-angel", "dinosaur": "sauropod",
    "t-rex": "t-rex", "tyrannosaurus": "t-rex", "monster": "ogre", "alien": "alien", "android": "robot",
    "kitten": "cat", "kitty": "cat", "puppy": "dog", "pup": "dog", "bunny": "rabbit", "hare": "rabbit",
    "pony": "horse", "stallion": "horse", "foal": "horse", "sheep": "ewe", "lamb": "ewe", "bull": "ox",
    "calf": "cow", "hen": "chicken", "chick": "baby-chick", "seagull": "dove", "pigeon": "dove",
    "sparrow": "bird", "crow": "black-bird", "raven": "black-bird", "hawk": "eagle", "falcon": "eagle",
    "hummingbird": "bird", "monkey": "monkey", "ape": "gorilla", "chimpanzee": "monkey", "rat": "rat",
    "mouse": "mouse", "squirrel": "chipmunk", "bee": "honeybee", "ladybug": "lady-beetle",
    "ladybird": "lady-beetle", "caterpillar": "bug", "whale": "spouting-whale", "goldfish": "tropical-fish",
    "clownfish": "tropical-fish", "shell": "spiral-shell", "seashell": "spiral-shell", "turtle": "turtle",
    "tortoise": "turtle", "crocodile": "crocodile", "alligator": "crocodile", "cobra": "snake",
    "sofa": "couch-and-lamp", "couch": "couch-and-lamp", "armchair": "couch-and-lamp", "lamp": "light-bulb",
    "stool": "chair", "clock": "mantelpiece-clock", "phone": "mobile-phone", "smartphone": "mobile-phone",
    "computer": "laptop", "tv": "television", "book": "closed-book", "sword": "dagger",
    "swords": "crossed-swords", "hat": "top-hat", "cap": "billed-cap", "boots": "hiking-boot",
    "shoes": "running-shoe",
    "shoe": "running-shoe", "shirt": "t-shirt", "pants": "jeans", "sunglasses": "sunglasses", "glasses": "glasses",
    "ball": "soccer-ball", "football": "soccer-ball", "toy": "teddy-bear", "teddy": "teddy-bear",
    "doll": "nesting-dolls",
    "drum": "drum", "piano": "musical-keyboard", "cello": "violin", "lantern": "red-paper-lantern",
    "lighthouse": "lighthouse", "tower": "tokyo-tower", "eiffel tower": "tokyo-tower",
    "skyscraper": "office-building",
    "building": "office-building", "painting": "framed-picture", "wedding": "wedding", "earring": "ring",
    "animal": "cat", "pet": "dog", "fruit": "red-apple", "fruits": "grapes", "vegetable": "carrot", "food": "pizza",
    "vehicle": "automobile", "spring roll": "burrito", "cabin": "hut", "cottage": "house-with-garden",
    "home": "house", "barn": "barn",
    "temple": "shinto-shrine", "cathedral": "church", "chapel": "church", "palace": "castle", "fortress": "castle",
    "ruins": "classical-building", "museum": "classical-building", "bank": "bank", "statue": "statue-of-liberty",
    "campfire": "fire", "bonfire": "fire", "flame": "fire", "fireplace": "fire", "pumpkin": "jack-o-lantern",
    "gift": "wrapped-gift", "present": "wrapped-gift", "diamond": "gem-stone", "jewel": "gem-stone",
    "gem": "gem-stone",
    "crystal": "gem-stone", "treasure": "treasure-chest", "chest": "treasure-chest", "map": "world-map",
    "heart": "red-heart", "love": "red-heart", "valentine": "red-heart", "skeleton": "skull", "bat": "bat",
    "surfboard": "person-surfing", "guitarist": "guitar", "train": "locomotive", "steam train": "locomotive",
    "motorbike": "motorcycle", "bike": "bicycle", "scooter": "motor-scooter", "moped": "motor-scooter",
    "bus": "bus", "taxi": "taxi", "cab": "taxi", "vase": "amphora", "pot": "potted-plant", "plant": "potted-plant",
    "houseplant": "potted-plant", "leaf": "maple-leaf", "palm": "palm-tree", "bamboo": "pine-decoration",
    "mushroom": "mushroom", "toadstool": "mushroom", "volcano": "volcano", "parasol": "beach-with-umbrella",
    "beach umbrella": "umbrella-on-ground", "wolf": "wolf", "mermaid": "mermaid", "sword fight": "crossed-swords",
    "picnic": "basket", "nest": "nest-with-eggs", "snail": "snail", "rock": "rock", "stone": "rock", "log": "wood",
    "ring": "ring", "comet": "comet", "meteor": "meteor", "firework": "fireworks",
    "smile": "smiling-face-with-smiling-eyes",
    "smiley": "smiling-face-with-smiling-eyes", "camera": "camera", "photographer": "camera", "windmill": "windmill",
    "chess": "chess-pawn", "dice": "game-die", "maze": "puzzle-piece", "music": "musical-notes",
    "song": "musical-notes",
    "money": "money-bag", "coins": "coin", "idea": "light-bulb", "lightbulb": "light-bulb",
    "light bulb": "light-bulb",
    "stars": "star", "snowman": "snowman-without-snow", "igloo": "hut", "anchor": "anchor", "pirate ship": "sailboat",
    "eagle": "eagle", "squid": "squid", "wagon": "railway-car", "tram": "tram-car",
    "carousel": "carousel-horse", "bear": "bear", "polar bear": "polar-bear", "christmas tree": "christmas-tree",
}  # fmt: skip
"""Words whose best icon the keywords don't find."""
