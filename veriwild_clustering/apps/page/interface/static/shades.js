// From the colours of a legend to what the screen shows, on light and on dark paper.

const CODES = 65536, OPAQUE = 215, FAINT = 150;

export const cssColor = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const parts = color => [1, 3, 5].map(at => parseInt(color.slice(at, at + 2), 16));
const brightness = rgb => rgb.reduce((sum, part, i) => sum + [0.2126, 0.7152, 0.0722][i] * (part / 255) ** 2.2, 0);

// The palette is made for white paper: on dark paper its dark colours are mixed with white until they stand out.
function onPaper(color) {
  let rgb = parts(color);
  if (matchMedia("(prefers-color-scheme: dark)").matches) while (brightness(rgb) < 0.16) rgb = rgb.map(part => part + 0.08 * (255 - part));
  return rgb.map(Math.round);
}

export const tone = color => `rgb(${onPaper(color)})`;
export const gradient = stops => `linear-gradient(to right, ${stops.join(", ")})`;

function between(stops, share) {
  const at = share * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(at));
  const [from, to] = [stops[i], stops[i + 1]];
  return from.map((part, axis) => Math.round(part + (to[axis] - part) * (at - i)));
}

// Four bytes per code; 0 is noise or unknown. Hidden codes have alpha 0.
export function palette(legend, hidden) {
  const bytes = new Uint8Array(4 * CODES);
  bytes.set([...parts(cssColor("--noise")), hidden.has(0) ? 0 : FAINT]);
  if (legend.kind === "number") {
    const stops = legend.stops.map(parts);
    for (let code = 1; code < CODES; code++) bytes.set([...between(stops, (code - 1) / (CODES - 2)), OPAQUE], 4 * code);
  }
  for (const { code, color } of legend.entries) {
    if (code) bytes.set([...onPaper(color), hidden.has(code) ? 0 : OPAQUE], 4 * code);
  }
  return bytes;
}
