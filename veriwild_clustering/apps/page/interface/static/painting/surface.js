// What is seen: the image, its segments, the paint, and what is being drawn; moving and zooming.

const VIEWS = ["image", "segments", "paint"];
const MARKS = { box: "#0969da", foreground: "#1a7f37", background: "#cf222e", cut: "#bf3989" };

export class Surface {
  #waiting = false;
  #preview = null;
  #pieces = null;

  constructor(canvas, work, look) {
    Object.assign(this, { canvas, work, look, scale: 1, x: 0, y: 0, view: "image", pen: canvas.getContext("2d") });
    new ResizeObserver(() => { if (this.#resized()) this.fit(); }).observe(canvas);
  }

  redraw() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => { this.#waiting = false; this.#draw(); });
  }

  nextView() {
    this.view = VIEWS[(VIEWS.indexOf(this.view) + 1) % VIEWS.length];
    this.redraw();
    return this.view;
  }

  // Shows the whole image, in the middle.
  fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas, { width: across, height: down } = this.work;
    if (!width || !across) return;
    this.scale = Math.min(width / across, height / down) * 0.96;
    this.x = (width - across * this.scale) / 2; this.y = (height - down * this.scale) / 2;
    this.redraw();
  }

  zoomBy(factor, at = { x: this.canvas.clientWidth / 2, y: this.canvas.clientHeight / 2 }) {
    const scale = Math.max(0.02, Math.min(64, this.scale * factor)), share = scale / this.scale;
    this.x = at.x - (at.x - this.x) * share; this.y = at.y - (at.y - this.y) * share;
    this.scale = scale;
    this.redraw();
  }

  moveBy(right, down) { this.x += right; this.y += down; this.redraw(); }

  // From the canvas to the image: whole numbers are the corners of pixels.
  toImage({ x, y }) { return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale }; }

  // Lets a place of the image come into sight.
  reveal({ x, y }) {
    const { clientWidth: width, clientHeight: height } = this.canvas, edge = 24;
    const left = this.x + x * this.scale, top = this.y + y * this.scale;
    this.moveBy(Math.max(0, edge - left) - Math.max(0, left - width + edge), Math.max(0, edge - top) - Math.max(0, top - height + edge));
  }

  // Shows at once what a stroke will paint: all pixels of a segment. Without a segment, nothing any more.
  tint(label, color) {
    const { work } = this;
    if (label === undefined) { this.#preview = null; this.redraw(); return; }
    this.#preview ??= new OffscreenCanvas(work.width, work.height);
    const pen = this.#preview.getContext("2d", { willReadFrequently: true }), shown = pen.getImageData(0, 0, work.width, work.height);
    const pixels = new Uint32Array(shown.data.buffer), value = Number(`0xff${color.slice(5, 7)}${color.slice(3, 5)}${color.slice(1, 3)}`);
    for (let i = 0; i < pixels.length; i += 1) if (work.labels[i] === label) pixels[i] = value;
    pen.putImageData(shown, 0, 0);
    this.redraw();
  }

  #resized() {
    const { canvas } = this, dots = devicePixelRatio || 1;
    const size = [Math.round(canvas.clientWidth * dots), Math.round(canvas.clientHeight * dots)];
    if (!size[0] || (canvas.width === size[0] && canvas.height === size[1])) return false;
    [canvas.width, canvas.height] = size;
    return true;
  }

  #draw() {
    const { canvas, pen, work, look } = this, dots = devicePixelRatio || 1;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    if (!work.state || !work.image) return;
    pen.setTransform(dots * this.scale, 0, 0, dots * this.scale, dots * this.x, dots * this.y);
    pen.imageSmoothingEnabled = this.scale < 2;
    this.#drawGround();
    pen.globalAlpha = this.view === "paint" ? 1 : look.opacity;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(work.paint, 0, 0);
    if (this.#preview) pen.drawImage(this.#preview, 0, 0);
    pen.globalAlpha = 1;
    if (look.lines && this.view !== "paint") this.#line(work.outline, "rgba(255,255,255,.8)", 1);
    this.#drawMarks();
    Object.assign(canvas.dataset, { x: this.x, y: this.y, scale: this.scale });
  }

  #drawGround() {
    const { pen, work } = this;
    if (this.view === "image") { pen.drawImage(work.image, 0, 0); return; }
    if (this.view === "segments") { pen.drawImage(this.#colored(), 0, 0); return; }
    pen.fillStyle = "#808080";
    pen.fillRect(0, 0, work.width, work.height);
  }

  // Segments in colours that tell neighbours apart; edges are black.
  #colored() {
    const { labels, width, height } = this.work;
    if (this.#pieces?.labels === labels) return this.#pieces.canvas;
    const canvas = new OffscreenCanvas(width, height), pen = canvas.getContext("2d"), shown = pen.createImageData(width, height);
    for (let i = 0, at = 0; i < labels.length; i += 1, at += 4) {
      const mixed = Math.imul(labels[i], 2654435761) >>> 0;
      if (labels[i]) for (let channel = 0; channel < 3; channel += 1) shown.data[at + channel] = 64 + (mixed >>> 8 * channel & 127);
      shown.data[at + 3] = 255;
    }
    pen.putImageData(shown, 0, 0);
    this.#pieces = { labels, canvas };
    return canvas;
  }

  // Boxes, strokes, places of a template, the beginning of a cut, and where the keyboard is.
  #drawMarks() {
    const { prompts, drawing, matches, start, cursor } = this.look, { pen } = this;
    for (const box of prompts.boxes) this.#line(frame(box), MARKS.box, 2);
    for (const kind of ["foreground", "background"]) for (const points of prompts[kind]) this.#line(polyline(points), MARKS[kind], 3);
    if (matches) for (const [left, top] of matches.places) this.#line(frame([left, top, left + matches.width, top + matches.height]), MARKS.cut, 2);
    if (drawing?.tool === "box") this.#line(frame(drawing.box), MARKS.box, 2);
    else if (drawing && MARKS[drawing.tool]) this.#line(polyline(drawing.points), MARKS[drawing.tool], drawing.tool === "cut" ? 2 : 3);
    if (start) this.#line(cross(start, 5 / this.scale), MARKS.cut, 2);
    if (cursor && document.activeElement === this.canvas) {
      pen.setLineDash([]);
      this.#line(cross({ x: cursor.x + 0.5, y: cursor.y + 0.5 }, 11 / this.scale), "#ffffff", 2);
    }
  }

  // A line that is seen on light and on dark, as wide as it is at any zoom.
  #line(path, color, width) {
    const { pen } = this;
    pen.lineJoin = pen.lineCap = "round";
    for (const [style, wide] of [["rgba(0,0,0,.6)", width + 1.4], [color, width]]) {
      pen.strokeStyle = style; pen.lineWidth = wide / this.scale;
      pen.stroke(path);
    }
  }
}

function frame([left, top, right, bottom]) {
  const path = new Path2D();
  path.rect(left, top, right - left, bottom - top);
  return path;
}

function polyline(points) {
  const path = new Path2D();
  points.forEach(([x, y], i) => path[i ? "lineTo" : "moveTo"](x + 0.5, y + 0.5));
  if (points.length === 1) path.lineTo(points[0][0] + 0.51, points[0][1] + 0.5);
  return path;
}

function cross({ x, y }, reach) {
  const path = new Path2D();
  path.moveTo(x - reach, y); path.lineTo(x + reach, y); path.moveTo(x, y - reach); path.lineTo(x, y + reach);
  return path;
}
