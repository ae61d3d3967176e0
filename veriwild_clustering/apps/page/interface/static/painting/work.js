// The image that is painted on: what the server says of it, and one change after the other.

import { fetchBlob, fetchJson, sendJson } from "../data.js";

const EXACT = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
const EMPTY = { state: null, image: null, labels: null, paint: null, outline: null };

export class Work {
  #last = Promise.resolve();
  #waiting = 0;

  // `changed` is called whenever there is something new to be drawn, `said` with what a person should hear.
  constructor({ changed, said }) {
    Object.assign(this, EMPTY, { changed, said, row: -1 });
  }

  get busy() { return this.#waiting > 0; }
  get width() { return this.state?.width ?? 0; }
  get height() { return this.state?.height ?? 0; }
  label(x, y) { return x >= 0 && y >= 0 && x < this.width && y < this.height ? this.labels[y * this.width + x] : 0; }

  open(row) {
    return this.#after(async () => {
      Object.assign(this, EMPTY, { row });
      this.changed();
      const [state, image] = await Promise.all([fetchJson(`painting/${row}`), bitmap(`painting/${row}/image.jpg`)]);
      await this.#take(state, { image });
    });
  }

  // Sends a change of the version that is shown; what was asked of an image that has been left is not done.
  change(what, body, words) {
    const row = this.row;
    return this.#after(async () => {
      if (!this.state || row !== this.row) return;
      const before = this.state.version;
      const state = await sendJson(`painting/${row}/${what}`, { base_version: before, ...body });
      await this.#take(state);
      this.said(state.version === before ? "Nothing has changed." : words(state));
    });
  }

  // Does something between changes, such as saving.
  afterwards(task) { return this.#after(() => this.state && task(this.row)); }

  async #take(state, more = {}) {
    const old = this.state, same = old?.row === state.row && old.segments_tag === state.segments_tag;
    const [paint, labels] = await Promise.all([
      bitmap(`painting/${state.row}/paint.png`), same ? this.labels : numbers(`painting/${state.row}/segments.png`)]);
    if (!same) this.outline = outlineOf(labels, state.width, state.height);
    Object.assign(this, { state, paint, labels, ...more });
    this.changed();
  }

  #after(task) {
    this.#waiting += 1;
    this.changed();
    this.#last = this.#last.then(task).catch(error => this.#failed(error)).finally(() => {
      this.#waiting -= 1;
      this.changed();
    });
    return this.#last;
  }

  async #failed(error) {
    this.said(error.message, true);
    if (error.code !== "conflict" || !this.state) return;
    try {
      await this.#take(await fetchJson(`painting/${this.row}`));
      this.said("Somebody else has painted here meanwhile. This is what it looks like now: make your change again.", true);
    } catch (again) {
      this.said(again.message, true);
    }
  }
}

const bitmap = async path => createImageBitmap(await fetchBlob(path), EXACT);

// The number of each pixel, out of the three bytes that its colour is.
async function numbers(path) {
  const shown = await bitmap(path), canvas = new OffscreenCanvas(shown.width, shown.height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(shown, 0, 0);
  const { data } = pen.getImageData(0, 0, shown.width, shown.height), found = new Int32Array(shown.width * shown.height);
  for (let i = 0, at = 0; i < found.length; i += 1, at += 4) found[i] = data[at] << 16 | data[at + 1] << 8 | data[at + 2];
  return found;
}

// Lines between pixels of different segments, in as few pieces as there are runs.
function outlineOf(labels, width, height) {
  const path = new Path2D();
  runs(height, width, (y, x) => y > 0 && labels[y * width + x] !== labels[(y - 1) * width + x],
    (y, from, to) => { path.moveTo(from, y); path.lineTo(to, y); });
  runs(width, height, (x, y) => x > 0 && labels[y * width + x] !== labels[y * width + x - 1],
    (x, from, to) => { path.moveTo(x, from); path.lineTo(x, to); });
  return path;
}

function runs(lines, length, holds, found) {
  for (let line = 0; line < lines; line += 1) {
    let start = -1;
    for (let at = 0; at <= length; at += 1) {
      const inside = at < length && holds(line, at);
      if (inside && start < 0) start = at;
      if (!inside && start >= 0) { found(line, start, at); start = -1; }
    }
  }
}
