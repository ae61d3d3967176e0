// What a click or a drag does with each tool; each becomes a stroke that the server makes.

import { sendJson } from "../data.js";

export const NAMES = { "#cc0000": "red", "#e69f00": "orange", "#f0e442": "yellow", "#009e73": "green", "#56b4e9": "sky blue",
                       "#0072b2": "blue", "#cc79a7": "pink", "#ffffff": "white", "#000000": "black" };
export const nameOf = color => NAMES[color] ?? color;

const MOST = 1500;  // points of one stroke
const nothing = () => ({ boxes: [], foreground: [], background: [] });

export class Brush {
  #seen = new Set();
  #trail = [];

  // `look` is what is chosen and drawn, `changed` is called when it is another.
  constructor(work, surface, look, { changed, said }) {
    Object.assign(this, { work, surface, look, changed, said });
    Object.assign(look, { prompts: nothing(), drawing: null, matches: null, start: null, pattern: null, continuous: null });
  }

  // A pixel of the image under a place of the canvas; null beside the image, unless the nearest one will do.
  pixel(place, nearest = false) {
    const { x, y } = this.surface.toImage(place), { width, height } = this.work;
    const inside = x >= 0 && y >= 0 && x < width && y < height;
    if (!inside && !nearest) return null;
    return [Math.min(width - 1, Math.max(0, Math.floor(x))), Math.min(height - 1, Math.max(0, Math.floor(y)))];
  }

  begin(place, button) {
    const { look } = this, tool = { move: "move", middle: "cut", second: "unfill" }[button] ?? look.tool;
    if (!this.work.state) return;
    if (tool === "move") { look.drawing = { tool, place }; return; }
    this.start(tool, this.pixel(place, tool === "box"));
  }

  start(tool, point) {
    if (!point || !this.work.state) return;
    this.look.drawing = { tool, points: [point], box: [...point, ...point] };
    this.#touch(point);
    this.changed();
  }

  extend(place) {
    const { drawing } = this.look;
    if (!drawing) return;
    if (drawing.tool === "move") {
      this.surface.moveBy(place.x - drawing.place.x, place.y - drawing.place.y);
      drawing.place = place;
      return;
    }
    const point = this.pixel(place, true), last = drawing.points.at(-1);
    if (drawing.tool === "template" || (point[0] === last[0] && point[1] === last[1]) || drawing.points.length >= MOST) return;
    drawing.points.push(point);
    drawing.box = boxOf(drawing.points[0], point);
    this.#touch(point);
    this.changed();
  }

  end() {
    const { drawing } = this.look;
    this.look.drawing = null;
    this.#seen.clear();
    if (drawing && drawing.tool !== "move") this[`_${drawing.tool}`](drawing);
    this.changed();
  }

  cancel() {
    this.look.drawing = null;
    this.#seen.clear();
    this.surface.tint();
    this.changed();
  }

  // While painting is continuous, the pointer paints without a button.
  hover(place) {
    const { continuous, drawing } = this.look, point = continuous && !drawing && this.work.state ? this.pixel(place) : null;
    if (!point) { this.#trail = []; return; }
    const last = this.#trail.at(-1);
    this.#trail.push(point);
    if (!last || this.work.label(...last) !== this.work.label(...point)) this.#flush();
  }

  toggle(mode) {
    this.look.continuous = this.look.continuous === mode ? null : mode;
    this.#trail = [];
    const on = `Continuous ${mode}ing is on: move the pointer over segments. A double click or Esc ends it.`;
    this.said(this.look.continuous ? on : "Continuous painting is off.");
    this.changed();
  }

  clear() {
    Object.assign(this.look, { prompts: nothing(), matches: null, start: null, pattern: null, continuous: null });
    this.cancel();
  }

  // What belongs to an image alone goes with it; a pattern is looked for in the next ones as well.
  leave() { Object.assign(this.look, { prompts: nothing(), matches: null, start: null, cursor: null }); this.cancel(); }

  cutOut() {
    const { prompts, color, by, brush } = this.look;
    if (!prompts.boxes.length && !prompts.foreground.length) {
      this.said("Draw a box around the object, or a stroke on it, first.", true);
      return;
    }
    const stroke = { kind: "cut_out", by, color, brush, ...prompts };
    this.said("Cutting out …");
    this.work.change("strokes", { stroke }, () => `Cut out and painted ${nameOf(color)}. Undo, add strokes and cut out again to correct it; Esc clears them.`);
  }

  stamp() {
    const { pattern, threshold } = this.look;
    if (!pattern) {
      this.look.tool = "template";
      this.said("Click what is painted: it becomes the template, in this image and the next ones.");
      this.changed();
      return;
    }
    this.work.change("strokes", { stroke: { kind: "stamp", pattern, threshold } }, () => "The template is painted wherever it was found.");
    this.work.afterwards(() => this.preview({ quietly: true }));
  }

  // Shows where the template would be painted.
  async preview({ quietly = false } = {}) {
    const { look, work } = this;
    if (!look.pattern || !work.state) return;
    const row = work.row;
    try {
      const found = await sendJson(`painting/${row}/matches`, { pattern: look.pattern, threshold: look.threshold });
      if (row !== work.row || !look.pattern) return;
      look.matches = found;
      if (!quietly) this.said(`The template is found at ${found.total} ${found.total === 1 ? "place" : "places"}.`);
    } catch (error) {
      look.matches = null;
      this.said(error.message, true);
    }
    this.changed();
  }

  _fill({ points }) { this.#paint("fill", points); }
  _unfill({ points }) { this.#paint("unfill", points); }

  _cut({ points }) {
    const { look } = this;
    if (points.length === 1 && !look.start) {
      look.start = { x: points[0][0] + 0.5, y: points[0][1] + 0.5 };
      this.said("The cut begins here. Click where it ends; Esc gives it up.");
      return;
    }
    const line = points.length > 1 ? points : [[Math.floor(look.start.x), Math.floor(look.start.y)], points[0]];
    look.start = null;
    this.work.change("strokes", { stroke: { kind: "cut", points: line } }, state => `Cut. There are ${state.n_segments} segments.`);
  }

  _box({ points, box }) {
    const { look } = this;
    if (points.length === 1 && !look.start) {
      look.start = { x: points[0][0], y: points[0][1] };
      this.said("A corner of the box. Click the opposite one; Esc gives it up.");
      return;
    }
    const drawn = points.length > 1 ? box : boxOf([look.start.x, look.start.y], points[0]);
    look.start = null;
    look.prompts.boxes.push(drawn);
    this.said("A box around the object. Cut it out with e.");
  }

  _foreground({ points }) { this.#mark("foreground", points, "A stroke on the object."); }
  _background({ points }) { this.#mark("background", points, "A stroke beside the object."); }

  _template({ points }) {
    this.look.pattern = { row: this.work.row, point: points[0] };
    this.work.afterwards(() => this.preview());
  }

  #mark(kind, points, words) {
    this.look.prompts[kind].push(points);
    this.said(`${words} Cut it out with e.`);
  }

  #paint(kind, points) {
    const { color } = this.look, stroke = kind === "fill" ? { kind, points, color } : { kind, points };
    const words = kind === "fill" ? `Filled with ${nameOf(color)}.` : "Unfilled.";
    this.work.change("strokes", { stroke }, () => words);
  }

  #touch(point) {
    const { drawing, color } = this.look, label = this.work.label(...point);
    if (drawing.tool !== "fill" || !label || this.#seen.has(label)) return;
    this.#seen.add(label);
    this.surface.tint(label, color);
  }

  #flush() {
    if (!this.look.continuous || this.work.busy || !this.#trail.length) return;
    const points = this.#trail.slice(0, MOST);
    this.#trail = this.#trail.slice(points.length - 1);
    const before = this.#trail.length;
    this.#paint(this.look.continuous, points);
    this.work.afterwards(() => { if (this.#trail.length > before) setTimeout(() => this.#flush()); });
  }
}

// Edges of pixels, both corners within.
function boxOf([x0, y0], [x1, y1]) {
  return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1) + 1, Math.max(y0, y1) + 1];
}
