"""Line plots with two logarithmic axes, as SVG. They bring their own ground, so that they read alike on a light
page and on a dark one."""
import math
from html import escape

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 86, 150, 52, 60
LABEL_HEIGHT = 16


def short(number):
    """1500000 as "1.5 M"."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:g}{unit}"
    return f"{number:g}"


class Axis:
    def __init__(self, values, first, last):
        self.low, self.high = math.log10(min(values)), math.log10(max(values))
        if self.high - self.low < 1:  # at least a decade, or noise looks like news
            middle = (self.low + self.high) / 2
            self.low, self.high = middle - 0.5, middle + 0.5
        room = (self.high - self.low) * 0.04
        self.low, self.high = self.low - room, self.high + room
        self.first, self.last = first, last

    def at(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self):
        """Powers of ten; where there are few of them, what lies between, too."""
        steps = (1, 2, 5) if self.high - self.low < 2 else (1,) if self.high - self.low > 3.5 else (1, 3)
        for power in range(math.floor(self.low), math.ceil(self.high) + 1):
            for step in steps:
                if self.low <= math.log10(step) + power <= self.high:
                    yield step * 10.0**power


def spread(wanted):
    """Those heights, moved apart so that labels at them do not touch."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = list(wanted)
    for _ in range(100):
        for above, below in zip(order, order[1:]):
            overlap = LABEL_HEIGHT - (placed[below] - placed[above])
            if overlap > 0:
                placed[above] -= overlap / 2
                placed[below] += overlap / 2
    return placed


def svg(title, x_label, y_label, series):
    """`series`: label, colour, whether dashed, and points (x, y), y above 0."""
    points = [p for s in series for p in s["points"]]
    x = Axis([p[0] for p in points], LEFT, WIDTH - RIGHT)
    y = Axis([p[1] for p in points], HEIGHT - BOTTOM, TOP)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="DejaVu Sans, sans-serif" font-size="13" fill="#333">',
        f"  <title>{escape(title)}</title>",
        f'  <rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#fbfaf7"/>',
        f'  <text x="{LEFT}" y="28" font-size="15" font-weight="bold">{escape(title)}</text>',
        '  <g stroke="#ddd9cf">',
    ]
    for tick in x.ticks():
        out.append(f'    <path d="M{x.at(tick):.1f} {TOP} V{HEIGHT - BOTTOM}"/>')
    for tick in y.ticks():
        out.append(f'    <path d="M{LEFT} {y.at(tick):.1f} H{WIDTH - RIGHT}"/>')
    out.append("  </g>")
    for tick in x.ticks():
        out.append(
            f'  <text x="{x.at(tick):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{short(tick)}</text>'
        )
    for tick in y.ticks():
        out.append(f'  <text x="{LEFT - 8}" y="{y.at(tick) + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    middle_x, middle_y = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    out.append(f'  <text x="{middle_x}" y="{HEIGHT - 16}" text-anchor="middle">{escape(x_label)}</text>')
    out.append(
        f'  <text transform="translate(22 {middle_y}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    heights = spread([y.at(s["points"][-1][1]) for s in series])
    for s, height in zip(series, heights):
        line = " L".join(f"{x.at(a):.1f} {y.at(b):.1f}" for a, b in s["points"])
        dashed = ' stroke-dasharray="6 4"' if s.get("dashed") else ""
        out.append(f'  <path d="M{line}" fill="none" stroke="{s["colour"]}" stroke-width="2.2"{dashed}/>')
        if not s.get("dashed"):
            for a, b in s["points"]:
                out.append(f'  <circle cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="3" fill="{s["colour"]}"/>')
        end = x.at(s["points"][-1][0])
        out.append(
            f'  <text x="{end + 10:.1f}" y="{height + 4:.1f}" fill="{s["colour"]}"'
            f' font-weight="bold">{escape(s["label"])}</text>'
        )
    return "\n".join([*out, "</svg>", ""])
