// The map's page: what is loaded, legend and labels, and what a click shows.

import { Cloud } from "./cloud.js";
import { fetchJson, fetchSteps } from "./data.js";
import { showImage } from "./panel.js";
import { cssColor, gradient, palette, tone } from "./shades.js";
import { View } from "./view.js";

const $ = selector => document.querySelector(selector);
const points = $("#points"), marks = $("#marks"), pen = marks.getContext("2d");
const dark = matchMedia("(prefers-color-scheme: dark)");
const MAX_LABELS = 60, MAX_LETTERS = 18;

let cloud, view, legend = { kind: "category", entries: [] }, hidden = new Set(), middles = new Map();
let selected = -1, neighbors = [], waiting = false, latest = 0;
let moving = 0, detail = 1, before = 0;

const fail = error => { $(".busy").hidden = true; $(".message").textContent = error.message; $(".message").hidden = false; settle(); };
const redraw = () => { if (!waiting) { waiting = true; requestAnimationFrame(draw); } };

// The page around the map loads the other tabs once the map is painted, or cannot be.
function settle() { document.body.dataset.settled = "yes"; frameElement?.dispatchEvent(new Event("settled")); }

function draw() {
  waiting = false;
  const width = marks.clientWidth, height = marks.clientHeight, dots = devicePixelRatio || 1;
  if (!width || !cloud.n) return;
  for (const canvas of [points, marks]) {
    const size = [Math.round(width * dots), Math.round(height * dots)];
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  }
  const matrix = view.matrix(width, height);
  const size = Math.max(1.6, Math.min(9, 420 / Math.sqrt(cloud.n))) * Math.min(4, view.zoom ** 0.35);
  cloud.draw(matrix, Math.min(12, size) * dots, moving ? pace() : 1);
  pen.setTransform(dots, 0, 0, dots, 0, 0);
  pen.clearRect(0, 0, width, height);
  writeNames(matrix, width, height);
  for (const row of neighbors) ring(row, matrix, 5, 1.5);
  ring(selected, matrix, 8, 2.5);
  if (document.activeElement === marks) crosshair(width / 2, height / 2);
  marks.dataset.drawn = cloud.n;
}

// While the view moves, as many points are drawn as the machine manages; all of them once it rests.
function pace() {
  const now = performance.now(), took = now - before;
  if (took > 60 && took < 1000) detail = Math.max(0.08, 0.7 * detail);
  else if (took < 30) detail = Math.min(1, 1.15 * detail);
  before = now;
  return detail;
}

function move() {
  clearTimeout(moving);
  moving = setTimeout(() => { moving = 0; redraw(); }, 160);
  redraw();
}

// Colours alone are not told apart by everybody: each group's name stands at its middle.
function writeNames(matrix, width, height) {
  if (legend.kind !== "category" || middles.size > MAX_LABELS) return;
  pen.font = "600 13px system-ui, sans-serif"; pen.textAlign = "center"; pen.textBaseline = "middle"; pen.lineJoin = "round";
  pen.lineWidth = 4; pen.strokeStyle = cssColor("--paper"); pen.fillStyle = cssColor("--ink");
  const taken = [];
  for (const { code, label } of legend.entries) {  // the largest first: where two names collide it keeps its own
    const row = middles.get(code), at = row === undefined || hidden.has(code) ? null : cloud.project(row, matrix, width, height);
    if (!at) continue;
    const text = label.length > MAX_LETTERS ? `${label.slice(0, MAX_LETTERS - 1)}…` : label, half = pen.measureText(text).width / 2 + 3;
    if (taken.some(box => Math.abs(box.y - at.y) < 17 && Math.abs(box.x - at.x) < box.half + half)) continue;
    taken.push({ ...at, half });
    pen.strokeText(text, at.x, at.y); pen.fillText(text, at.x, at.y);
  }
}

function ring(row, matrix, radius, thickness) {
  const at = row < 0 || !cloud.isShown(row) ? null : cloud.project(row, matrix, marks.clientWidth, marks.clientHeight);
  if (!at) return;
  for (const [color, more] of [["--paper", 2.5], ["--ink", 0]]) {
    pen.beginPath(); pen.arc(at.x, at.y, radius, 0, 7); pen.lineWidth = thickness + more; pen.strokeStyle = cssColor(color); pen.stroke();
  }
}

function crosshair(x, y) {
  pen.beginPath(); pen.moveTo(x - 7, y); pen.lineTo(x + 7, y); pen.moveTo(x, y - 7); pen.lineTo(x, y + 7);
  pen.lineWidth = 1; pen.strokeStyle = cssColor("--soft"); pen.stroke();
}

async function select(row) {
  selected = row; neighbors = [];
  redraw();
  const entry = legend.entries.find(item => item.code === cloud.code[row]);
  const color = legend.kind === "number" || !entry || !entry.code ? "var(--line)" : tone(entry.color);
  neighbors = await showImage(row, { into: $("#image"), color, select });
  redraw();
}

function drawLegend() {
  const isNumber = legend.kind === "number";
  $(".ramp").hidden = !isNumber;
  for (const name of ["#all", "#none"]) $(name).hidden = isNumber;
  if (isNumber) {
    const written = value => value === null || value === undefined ? "?" : Number(value.toPrecision(4)).toLocaleString("en");
    $(".ramp").style.setProperty("--ramp", gradient(legend.stops));
    $(".ramp span").textContent = `≤ ${written(legend.low)}`; $(".ramp span + span").textContent = `≥ ${written(legend.high)}`;
  }
  $(".legend").replaceChildren(...legend.entries.map(({ code, label, color, count }) => {
    const item = document.createElement("li"), line = document.createElement("label"), box = document.createElement("input");
    const dot = document.createElement("i"), text = document.createElement("span"), number = document.createElement("em");
    box.type = "checkbox"; box.checked = !hidden.has(code);
    box.addEventListener("change", () => { hidden[box.checked ? "delete" : "add"](code); paint(); });
    dot.style.setProperty("--color", code ? tone(color) : "var(--noise)");
    text.textContent = text.title = label; number.textContent = count.toLocaleString("en");
    line.append(box, dot, text, number); item.append(line);
    return item;
  }));
}

function paint() { cloud.setPalette(palette(legend, hidden)); redraw(); }

function toggle(shown) {
  hidden = new Set(shown ? [] : legend.entries.map(entry => entry.code));
  drawLegend(); paint();
}

async function loadColors() {
  const turn = ++latest, query = $("#by").value;
  const [told, codes] = await Promise.all([fetchJson(`colors?${query}`), fetchSteps(`colors?${query}&codes=1`)]);
  if (turn !== latest) return;
  legend = { entries: [], ...told }; hidden = new Set();
  cloud.setCodes(codes.values);
  drawLegend(); paint(); findMiddles();
}

function findMiddles() { middles = legend.kind === "category" && cloud.n === cloud.code?.length ? cloud.middles() : new Map(); redraw(); }

async function loadLayout() {
  const { values, dims } = await fetchSteps(`layouts/${encodeURIComponent($("#layout").value)}`);
  cloud.setPlaces(values, dims);
  view.dims = dims;
  $("#help").textContent = `${dims === 3 ? "Drag to turn" : "Drag to move"}, wheel to zoom, click for the image · keys: arrows, + −, Enter, 0`;
  findMiddles();
}

function options(select, entries) {
  const before = select.value;
  select.replaceChildren(...entries.map(({ value, label }) => new Option(label, value)));
  if (entries.some(entry => entry.value === before)) select.value = before;
}

const layoutName = (name, dims) => `${name.startsWith("umap") ? "UMAP" : name.startsWith("pca") ? "PCA" : name}, ${dims} dimensions`;

// Partitions come and go while the page is open: the list is read anew whenever the map comes into sight.
async function loadChoices() {
  const [dataset, { items }] = await Promise.all([fetchJson("dataset"), fetchJson("partitions?limit=500")]);
  const clusterings = items.map(({ id, name, version }) => (
    { value: new URLSearchParams({ by: "cluster", partition: id }).toString(), label: version > 1 ? `${name}, version ${version}` : name }));
  const columns = dataset.columns.filter(({ kind }) => kind !== "text")
    .map(({ name }) => ({ value: new URLSearchParams({ by: name }).toString(), label: name.replaceAll("_", " ") }));
  options($("#layout"), dataset.layouts.map(({ name, n_dims }) => ({ value: name, label: layoutName(name, n_dims) })));
  options($("#by"), [...clusterings, ...columns, { value: "by=outlier_score", label: "outlier score" }]);
  $("footer").textContent = `${dataset.n_images.toLocaleString("en")} images. Distances on a map show who is near whom, not how far apart groups are.`;
}

async function start() {
  cloud = new Cloud(points);
  view = new View(marks, {
    changed: move,
    clicked: ({ x, y, reach }) => {
      const size = { width: marks.clientWidth, height: marks.clientHeight, reach };
      const row = cloud.nearest(x, y, view.matrix(size.width, size.height), size);
      if (row >= 0) select(row);
    },
  });
  await loadChoices();
  await Promise.all([loadLayout(), loadColors()]);
  paint();
  $(".busy").hidden = true;
  requestAnimationFrame(() => requestAnimationFrame(() => { performance.mark("painted"); document.body.dataset.ready = "yes"; settle(); }));
  let seen = marks.clientWidth > 0;
  new ResizeObserver(() => {
    const visible = marks.clientWidth > 0;
    if (visible && !seen) loadChoices().catch(fail);
    seen = visible;
    redraw();
  }).observe(marks);
  $("#layout").addEventListener("change", () => loadLayout().then(() => view.reset()).catch(fail));
  $("#by").addEventListener("change", () => loadColors().catch(fail));
  $("#all").addEventListener("click", () => toggle(true));
  $("#none").addEventListener("click", () => toggle(false));
  $("#closer").addEventListener("click", () => view.zoomBy(1.4));
  $("#farther").addEventListener("click", () => view.zoomBy(1 / 1.4));
  $("#reset").addEventListener("click", () => view.reset());
  for (const name of ["focus", "blur"]) marks.addEventListener(name, redraw);
  dark.addEventListener("change", () => { drawLegend(); paint(); });
}

start().catch(fail);
