"""The ten objects in 16 x 16 squares.

k is an edge, f the object's color, l and d the same lighter and darker, r a second color, w white.
"""

SPRITES = {
    "leaf": """
.......kk.......
......kffk......
.....klffdk.....
..kk.klffdk.kk..
..kfkklffdkkfk..
..klffllfdffdk..
.kklfffllffffkk.
klfflffllfdfffdk
kkffflfllfdffdkk
.klffflllddffdk.
..klffflldfffk..
.klfffflldffffk.
.klffdflldfffdk.
..kkkkkllkkkkk..
......kldk......
.......kk.......
""",
    "hat": """
................
...kkkkkkkkkk...
..kddddddddddk..
..klkkkkkkkkdk..
...klffffffdk...
...klffffffdk...
...klffffffdk...
...klffffffdk...
...klffffffdk...
...krrrrrrrrk...
...krrrrrrrrk...
.kkkrrrrrrrrkkk.
kfflkkkkkkkkfffk
klfffffffffffddk
.kkfffffffffdkk.
...kkkkkkkkkk...
""",
    "cup": """
....ww...ww.....
...ww...ww......
...ww...ww......
....ww...ww.....
................
.kkkkkkkkkkk....
.krrrrrrrrrkkkk.
.kkkkkkkkkkkffk.
.klffffffddkkfk.
.klffffffddk.fk.
.klffffffddkffk.
.klffffffddkkk..
..klffffddk.....
...kkkkkkk......
kkkkkkkkkkkkkk..
.kkkkkkkkkkkk...
""",
    "chair": """
.kkkk...........
.klfk...........
.klfk...........
.klfk...........
.klfk...........
.klfk...........
.klfk...........
.klfkkkkkkkkkkk.
.klffffffffffdk.
.klfffffffffddk.
.klfkkkkkkkklfk.
.klfk......klfk.
.klfk......klfk.
.klfk......klfk.
.klfk......klfk.
.kkkk......kkkk.
""",
    "car": """
................
................
....kkkkkkkk....
...klllkllldk...
..klwwwkwwwdfk..
..kwwwwkwwwwfk..
.kkwwwwkwwwwdkk.
klfffffkfffffffk
krfffffkkkfffffk
klffffffffffffrk
kffkkkkffffkkkkk
kfkkwkkkffkkwkkk
kkkwwwkkddkwwwkk
..kkwkk..kkwkk..
...kkk....kkk...
................
""",
    "box": """
.......kk.......
.....kkllkk.....
...kkllllrrkk...
.kklllllrrllkkk.
kklllllrrllllkkk
kffkklrrlllkkddk
kffffkkllkkddddk
kffffffkkddddddk
kfffffrkkddddddk
kfffffrkkddddddk
kfffffrkkddddddk
kffffffkkddddddk
kffffffkkddddddk
.kkffffkkddddkk.
...kkffkkddkk...
.....kkkkkk.....
""",
    "book": """
................
................
.kkkkkk..kkkkkk.
kwwwwwwkkwwwwwwk
kwkkkkwkkwkkkkwk
kwwwwwwkkwwwwwwk
kwkkkkwkkwkkkkwk
kwwwwwwkkwwwwwwk
kwkkkkwkkwkkkkwk
kwwwwwwkkwwwwwwk
kwkkkkwkkwkkkkwk
kwwwwwwkkwwwwwwk
fkkkkkkwwkkkkkkf
flffffkkkkfffffd
kkkkkkfddfkkkkkk
......kkkk......
""",
    "ball": """
.....kkkkkk.....
...kkffrrffkk...
..klfffrrfffdk..
.klffffffffffdk.
.kffffffffffffk.
krrfffkrrkfffrrk
krrffkrrrrkffrrk
krfffrrrrrrfffrk
kflffrrrrrrffffk
kfffffrrrrfffffk
klfffkffffkfffdk
.kffrfffffffrdk.
.kfrrrffffrrrdk.
..krrffffffrrk..
...kkfffffdkk...
.....kkkkkk.....
""",
    "bag": """
.....kkkkkk.....
....kddddddk....
...kdkkkkkkdk...
...kdk....kdk...
...kdk....kdk...
.kkkkkkkkkkkkkk.
klffffffffffffdk
klllllllllllllfk
kkkkkkkrrkkkkkkk
klffffkrrkffffdk
klfffffkkfffffdk
klffffffffffffdk
klffffffffffffdk
klfffffffffffddk
kffffffffffddddk
.kkkkkkkkkkkkkk.
""",
    "apple": """
.........kk.....
........kkgkk...
.......kkgggk...
.......kkkkk....
..kkkkkkkkkkkk..
.kffffkkkffffdk.
klffffffffffffdk
klllffffffffffdk
kllffffffffffddk
klfffffffffffddk
klfffffffffffddk
kffffffffffffddk
.kffffffffffddk.
.kfffffffffdddk.
..kkffdkkkfddk..
....kkk..kkk....
""",
}
COUNT = 16


def squares(name: str) -> list[tuple[int, int, str]]:
    """Return (column, row, letter) of the squares of an object."""
    rows = SPRITES[name].split()
    return [
        (column, row, letter)
        for row, letters in enumerate(rows)
        for column, letter in enumerate(letters)
        if letter != "."
    ]
