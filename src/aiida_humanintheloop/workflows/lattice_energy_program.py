"""Energy and pressure of a crystal of Lennard-Jones atoms; needs nothing but Python.

What the worked examples run as a calculation: this file goes to the computer with its
input. It reads JSON on standard input and writes JSON on standard output, in eV, A and
GPa. The pressure is that of the virial theorem.
"""

import itertools
import json
import math
import operator
import sys

GPA = 160.21766208  # of 1 eV / A^3


def main():
    """Calculate what is asked for."""
    asked = json.load(sys.stdin)
    cell, positions, cutoff = asked["cell"], asked["positions"], asked["cutoff"]
    energy = virial = neighbours = 0
    for vector in vectors_to_neighbours(cell, positions, cutoff):
        sixth = (asked["sigma"] ** 2 / dot(vector, vector)) ** 3
        # Half of each pair belongs to the other atom.
        energy += 2 * asked["epsilon"] * (sixth**2 - sixth)
        virial += 12 * asked["epsilon"] * (2 * sixth**2 - sixth)
        neighbours += 1
    result = {
        "energy_per_atom": energy / len(positions),
        "volume_per_atom": volume_of(cell) / len(positions),
        "pressure": virial / (3 * volume_of(cell)) * GPA,
        "neighbours": neighbours // len(positions),
    }
    json.dump(result, sys.stdout)


def vectors_to_neighbours(cell, positions, cutoff):
    """Yield the vectors from each atom of the cell to all others within the cutoff."""
    for start, end in itertools.product(positions, positions):
        between = list(map(operator.sub, end, start))
        reach = cutoff + math.sqrt(dot(between, between))
        counts = [math.ceil(reach / height) for height in heights_of(cell)]
        images = (range(-count, count + 1) for count in counts)
        for image in itertools.product(*images):
            offset = [dot(image, [side[axis] for side in cell]) for axis in range(3)]
            vector = list(map(operator.add, between, offset))
            if 0 < dot(vector, vector) <= cutoff**2:
                yield vector


def heights_of(cell):
    """Return the distances between the opposite faces of the cell."""
    normals = [cross(cell[axis - 2], cell[axis - 1]) for axis in range(3)]
    return [volume_of(cell) / math.sqrt(dot(normal, normal)) for normal in normals]


def volume_of(cell):
    """Return the volume of the cell."""
    return abs(dot(cell[0], cross(cell[1], cell[2])))


def dot(a, b):
    """Return the scalar product."""
    return sum(map(operator.mul, a, b))


def cross(a, b):
    """Return the vector product."""
    return [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]


if __name__ == "__main__":
    main()
