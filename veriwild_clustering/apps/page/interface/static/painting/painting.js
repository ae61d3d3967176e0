// The page of painting: tools, keys, panel, and what is said.

import { address, fetchJson, sendJson } from "../data.js";
import { Brush, NAMES, nameOf } from "./brush.js";
import { Keys } from "./keys.js";
import { Pointing } from "./pointing.js";
import { Surface } from "./surface.js";
import { Work } from "./work.js";

const $ = selector => document.querySelector(selector);
const all = selector => [...document.querySelectorAll(selector)];
const canvas = $("#canvas"), KEPT = "veriwild painting";
const look = { tool: "fill", color: "#cc0000", opacity: 0.55, lines: true, cursor: null, by: "grabcut", brush: 5, threshold: 0.05 };
const work = new Work({ changed: show, said: say });
const surface = new Surface(canvas, work, look);
const brush = new Brush(work, surface, look, { changed: show, said: say });
let about, shown = {}, closed = false;

function say(text, isTrouble = false) {
  $("#said").textContent = text;
  $("#said").classList.toggle("trouble", isTrouble);
}

// Brings everything up to date with what is chosen and painted.
function show() {
  const { state } = work;
  document.body.dataset.busy = work.busy ? "yes" : "no";
  if (!work.busy && !look.drawing) surface.tint();
  if (state && shown.row !== state.row) surface.fit();
  if (state && (shown.row !== state.row || shown.method !== state.method)) fillForm(state);
  shown = state ?? {};
  for (const button of all("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === look.tool);
  for (const button of all("[data-color]")) button.setAttribute("aria-pressed", button.dataset.color === look.color);
  for (const button of all("[data-needs]")) button.disabled = !state || state[button.dataset.needs] === false;
  $("#color").value = look.color;
  $("#chosen").textContent = nameOf(look.color);
  $("#mode").hidden = !look.continuous;
  $("#mode").textContent = look.continuous ? `continuous ${look.continuous}ing` : "";
  $("#marked").textContent = marked(look.prompts);
  $("#pattern").textContent = look.pattern ? `Chosen in row ${look.pattern.row}; ${look.matches ? `${look.matches.total} found here` : "looking …"}.` : "None chosen.";
  $("#previous").disabled = work.row <= 0; $("#next").disabled = !about || work.row >= about.n_images - 1;
  if (state) showState(state);
  canvas.dataset.version = state?.version ?? "";
  canvas.dataset.row = state?.row ?? "";
  surface.redraw();
}

const marked = ({ boxes, foreground, background }) => {
  const parts = [[boxes, "box", "boxes"], [foreground, "stroke on it", "strokes on it"], [background, "beside it", "beside it"]];
  const told = parts.filter(([one]) => one.length).map(([one, single, many]) => `${one.length} ${one.length === 1 ? single : many}`);
  return told.length ? `${told.join(", ")}.` : "Draw a box around the object, or strokes on it and beside it.";
};

function showState(state) {
  $("#path").textContent = state.path;
  $("#facts").textContent = `${state.width} × ${state.height} pixels, ${state.n_segments} segments`;
  $("#painted").replaceChildren(...state.colors.map(({ color, n_pixels, share }) => {
    const item = document.createElement("li"), dot = document.createElement("i");
    dot.style.setProperty("--color", color);
    const amount = `${n_pixels.toLocaleString("en")} px, ${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
    item.append(dot, Object.assign(document.createElement("span"), { textContent: nameOf(color) }), Object.assign(document.createElement("em"), { textContent: amount }));
    return item;
  }));
  $("#none").hidden = state.colors.length > 0;
  $("#masks").href = address(`painting/${state.row}/masks.zip`);
  $("#coco").href = address(`painting/${state.row}/coco.json?form=${$("#form").value}`);
  $("#coco-all").href = address(`painting/coco.json?form=${$("#form").value}`);
  canvas.setAttribute("aria-label", `${state.path}, ${state.width} by ${state.height} pixels, ${state.n_segments} segments, painted: ${
    state.colors.map(({ color }) => nameOf(color)).join(", ") || "nothing"}. Arrow keys move the cross, Enter uses the tool there.`);
}

function fillForm(state) {
  $("#row").value = state.row;
  $("#method").value = state.method;
  if (state.side) $("#side").value = state.side;
  $("#side-value").textContent = $("#side").value;
}

async function turnTo(row) {
  if (!(row >= 0 && row < about.n_images)) { say(row < 0 ? "This is the first image." : "This is the last image."); return; }
  brush.leave();
  $("#row").value = row;
  keep();
  await work.open(row);
  if (work.row !== row || !work.state) return;
  say(`${work.state.path}: ${work.state.n_segments} segments.`);
  if (look.pattern) work.afterwards(() => brush.preview({ quietly: true }));
  document.body.dataset.ready = "yes";
  if (row + 1 < about.n_images) fetchJson(`painting/${row + 1}`).catch(() => {});  // so that it is divided when it is turned to
}

const change = (what, words) => work.change(what, {}, () => words);

function save() {
  return work.afterwards(async row => {
    const { files } = await sendJson(`painting/${row}/save`, { colons: $("#colons").checked });
    say(files.length ? `Saved ${files.join(", ")}.` : "Nothing is painted, so there is no mask.");
    return true;
  });
}

async function saveAndTurn() {
  const row = work.row;
  if (await save() && work.row === row) {
    const told = $("#said").textContent;
    await turnTo(row + 1);
    if (work.state) say(told);
  }
}

function choose(tool) { look.tool = tool; look.start = null; say($(`[data-tool=${tool}]`).title); show(); }

function paintWith(color) { look.color = color; keep(); say(`Colour: ${nameOf(color)}.`); show(); }

function close(isClosed) {
  closed = isClosed;
  brush.clear();
  $("#closed").hidden = !closed;
  $("#stage").inert = $("aside").inert = closed;
  (closed ? $("#reopen") : canvas).focus();
  say(closed ? "Painting is closed; everything painted is kept." : "Painting goes on.");
}

function step(right, down, isFine) {
  if (!work.state) return;
  const far = isFine ? 1 : Math.max(1, Math.round(Math.max(work.width, work.height) / 40));
  const from = look.cursor ?? { x: Math.floor(work.width / 2), y: Math.floor(work.height / 2) };
  look.cursor = { x: Math.min(work.width - 1, Math.max(0, from.x + right * far)), y: Math.min(work.height - 1, Math.max(0, from.y + down * far)) };
  surface.reveal(look.cursor);
}

function enter() {
  if (!look.cursor) step(0, 0);
  if (!look.cursor || look.tool === "move") return;
  brush.start(look.tool, [look.cursor.x, look.cursor.y]);
  brush.end();
}

const actions = {
  undo: () => change("undo", "Undone."), redo: () => change("redo", "Done again."),
  reset: () => change("reset", "Reset: new segments, no paint. Undo takes it back."),
  next: () => turnTo(work.row + 1), previous: () => turnTo(work.row - 1), save, "save-next": saveAndTurn,
  "cut-out": () => brush.cutOut(), clear: () => { brush.clear(); say("Cleared."); }, stamp: () => brush.stamp(),
  view: () => say({ image: "The image.", segments: "Segments in colours.", paint: "The paint alone." }[surface.nextView()]),
  closer: () => surface.zoomBy(1.4), farther: () => surface.zoomBy(1 / 1.4), fit: () => surface.fit(),
  help: () => $("#help").showModal(), close: () => close(true), reopen: () => close(false),
  divide: () => work.change("segments", { method: $("#method").value, side: Number($("#side").value) }, state => `Divided into ${state.n_segments} segments.`),
};
const unlessClosed = act => () => { if (!closed) act(); };
const KEYS = { q: "close", n: "next", p: "previous", " ": "save-next", z: "undo", y: "redo", Z: "redo", r: "reset", d: "view", t: "stamp",
               e: "cut-out", s: "save", Escape: "clear", "?": "help", "+": "closer", "=": "closer", "-": "farther", 0: "fit" };
const TOOL_KEYS = { f: "fill", u: "unfill", c: "cut", b: "box", o: "foreground", k: "background", m: "move" };

function listen() {
  const commands = Object.fromEntries(Object.entries(KEYS).map(([key, action]) => [key, unlessClosed(actions[action])]));
  for (const [key, tool] of Object.entries(TOOL_KEYS)) commands[key] = unlessClosed(() => choose(tool));
  Object.keys(NAMES).forEach((color, i) => { commands[i + 1] = unlessClosed(() => paintWith(color)); });
  new Keys(canvas, commands, { step, enter });
  new Pointing(canvas, {
    begin: (place, button) => { look.cursor = null; brush.begin(place, button); }, extend: place => brush.extend(place), end: () => brush.end(),
    cancel: () => brush.cancel(), hover: place => brush.hover(place), move: (right, down) => surface.moveBy(right, down), zoom: (factor, place) => surface.zoomBy(factor, place),
    double: button => { if (button === "second" || look.tool === "fill") brush.toggle(button === "second" ? "unfill" : "fill"); },
  });
  document.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.tool) choose(button.dataset.tool);
    else if (button.dataset.color) paintWith(button.dataset.color);
    else if (button.dataset.do) actions[button.dataset.do]();
    else return;
    if (event.detail && !button.closest("dialog, #closed") && button.dataset.do !== "help") canvas.focus({ preventScroll: true });  // so that keys go on
  });
  for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => surface.redraw());
  const set = (id, act) => $(id).addEventListener("input", event => { act(event.target); show(); });
  set("#color", one => paintWith(one.value)); set("#opacity", one => { look.opacity = one.value / 100; keep(); });
  set("#lines", one => { look.lines = one.checked; }); set("#brush", one => { look.brush = Number(one.value); $("#brush-value").textContent = one.value; });
  set("#by", one => { look.by = one.value; }); set("#side", one => { $("#side-value").textContent = one.value; }); set("#form", () => {});
  set("#threshold", one => { look.threshold = one.value / 100; $("#threshold-value").textContent = look.threshold.toFixed(2); });
  $("#threshold").addEventListener("change", () => work.afterwards(() => brush.preview()));
  $("#row").addEventListener("change", event => turnTo(Number(event.target.value)));
}

const keep = () => { try { localStorage.setItem(KEPT, JSON.stringify({ row: Number($("#row").value), color: look.color, opacity: look.opacity })); } catch { /* nothing may be kept here */ } };
const kept = () => { try { return JSON.parse(localStorage.getItem(KEPT)) ?? {}; } catch { return {}; } };

function options(select, ways) {
  select.replaceChildren(...ways.map(({ name, is_at_hand, about: text }) => {
    const option = new Option(name === "sam" ? "SAM" : name === "grabcut" ? "GrabCut" : name, name);
    Object.assign(option, { disabled: !is_at_hand, title: text });
    return option;
  }));
}

async function start() {
  about = await fetchJson("painting");
  if (!about.has_images) { say("This dataset does not know where its image files lie: start the page with --images.", true); return; }
  options($("#method"), about.methods); options($("#by"), about.cutting);
  const missing = about.cutting.find(way => !way.is_at_hand);
  $("#missing").hidden = !missing; $("#missing").textContent = missing?.about ?? "";
  $("#total").textContent = `of ${about.n_images.toLocaleString("en")}`;
  $("#row").max = about.n_images - 1;
  $("#colors").replaceChildren(...Object.entries(NAMES).map(([color, name], i) => {
    const button = Object.assign(document.createElement("button"), { type: "button", title: `${name} (${i + 1})`, ariaLabel: name });
    button.dataset.color = color;
    button.style.setProperty("--color", color);
    return button;
  }));
  const { row = 0, color, opacity } = kept();
  if (/^#[0-9a-f]{6}$/.test(color)) look.color = color;
  if (opacity >= 0 && opacity <= 1) look.opacity = opacity;
  $("#opacity").value = 100 * look.opacity;
  listen();
  await turnTo(Number.isInteger(row) && row >= 0 && row < about.n_images ? row : 0);
}

// The first image is opened when the page is first looked at: it may lie in a tab that never is.
const seen = new IntersectionObserver(entries => {
  if (!entries.some(entry => entry.isIntersecting)) return;
  seen.disconnect();
  start().catch(error => say(error.message, true));
});
seen.observe(document.body);
