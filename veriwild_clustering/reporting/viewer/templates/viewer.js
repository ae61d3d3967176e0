(() => {
  const { points, images, colors } = JSON.parse(document.getElementById("data").textContent);
  const $ = selector => document.querySelector(selector);
  const canvas = $("canvas"), pen = canvas.getContext("2d"), tip = $(".tip"), card = $(".card");
  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const hasNoise = mode => mode === "group";

  // Names are shown without the folders that all of them have in common.
  const folders = points.map(p => p.name.slice(0, p.name.lastIndexOf("/") + 1));
  let common = folders[0] ?? "";
  while (!folders.every(folder => folder.startsWith(common))) common = common.slice(0, common.lastIndexOf("/", common.length - 2) + 1);
  const short = point => point.name.slice(common.length);

  // Nine tenths of the cloud lie in a ball of radius 1 around its middle; stragglers may lie outside.
  const middle = [0, 1, 2].map(axis => points.reduce((sum, p) => sum + p.at[axis], 0) / (points.length || 1));
  const centred = points.map(p => p.at.map((value, axis) => value - middle[axis]));
  const lengths = centred.map(v => Math.hypot(...v)).sort((a, b) => a - b);
  const radius = lengths[Math.floor(0.9 * (lengths.length - 1))] || lengths.at(-1) || 1;
  const places = centred.map(v => v.map(value => value / radius));

  const floor = places.reduce((least, place) => Math.min(least, place[1]), 0) - 0.08;
  const edges = [-1.2, -0.6, 0, 0.6, 1.2].flatMap(t => [[[t, floor, -1.2], [t, floor, 1.2]], [[-1.2, floor, t], [1.2, floor, t]]]);

  const start = { yaw: 0.7, pitch: 0.35, zoom: 1 };
  const view = { ...start }, hidden = { group: new Set(), label: new Set(), quality: new Set() };
  let mode = "group", found = null, selected = -1, hovered = -1, drawn = [], sprites = new Map(), waiting = false;

  const key = (point, by) => String(point[by] ?? "unknown");
  const color = (point, by = mode) => (hasNoise(by) && point.group < 0) ? css("--noise") : tone(colors[by][key(point, by)]);
  const visible = i => Object.entries(hidden).every(([by, names]) => !names.has(key(points[i], by)));

  // The palette is made for white paper: on dark paper its dark colours are mixed with white until they stand out.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const light = rgb => rgb.reduce((sum, part, i) => sum + [0.2126, 0.7152, 0.0722][i] * (part / 255) ** 2.2, 0);
  const tone = shade => {
    if (!shade) return css("--noise");
    if (!dark.matches) return shade;
    let rgb = [1, 3, 5].map(at => parseInt(shade.slice(at, at + 2), 16));
    while (light(rgb) < 0.16) rgb = rgb.map(part => part + 0.08 * (255 - part));
    return `rgb(${rgb.map(Math.round)})`;
  };

  // A point is a disc with a rim of paper, drawn once per colour: thousands of discs then cost a copy each.
  const sprite = shade => {
    if (!sprites.has(shade)) {
      const disc = document.createElement("canvas"), size = 48, p = disc.getContext("2d");
      disc.width = disc.height = size;
      p.beginPath(); p.arc(24, 24, 20, 0, 7); p.fillStyle = shade; p.fill();
      p.lineWidth = 3.5; p.strokeStyle = css("--paper"); p.stroke();
      sprites.set(shade, disc);
    }
    return sprites.get(shade);
  };

  const draw = () => {
    waiting = false;
    const width = canvas.clientWidth, height = canvas.clientHeight, dots = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * dots) || canvas.height !== Math.round(height * dots)) {
      canvas.width = Math.round(width * dots); canvas.height = Math.round(height * dots);
    }
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.clearRect(0, 0, width, height);
    const [cy, sy, cp, sp] = [Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch)];
    const scale = 0.42 * Math.min(width, height) * view.zoom, far = 4;
    const base = Math.max(2.4, Math.min(8, 170 / Math.sqrt(points.length))) * Math.sqrt(view.zoom);
    const project = ([x, y, z]) => {
      const across = cy * x + sy * z, away = -sy * x + cy * z, up = cp * y - sp * away, depth = sp * y + cp * away;
      const near = far / Math.max(0.3, far - depth);
      return { depth, near, x: width / 2 + scale * across * near, y: height / 2 - scale * up * near };
    };
    pen.strokeStyle = css("--line"); pen.lineWidth = 1; pen.beginPath();
    for (const [from, to] of edges) {  // a floor, so that the eye knows which way is up
      const a = project(from), b = project(to);
      pen.moveTo(a.x, a.y); pen.lineTo(b.x, b.y);
    }
    pen.stroke();
    drawn = [];
    places.forEach((place, i) => {
      if (!visible(i)) return;
      const at = project(place);
      if (at.depth < far - 0.3) drawn.push({ ...at, i, r: base * at.near });
    });
    drawn.sort((a, b) => a.depth - b.depth);
    for (const { i, depth, x, y, r } of drawn) {
      const faded = found && !found.has(i), noise = hasNoise(mode) && points[i].group < 0;
      pen.globalAlpha = faded ? 0.07 : Math.max(0.35, Math.min(1, 0.72 + 0.25 * depth)) * (noise ? 0.6 : 1);
      pen.drawImage(sprite(color(points[i])), x - 1.2 * r, y - 1.2 * r, 2.4 * r, 2.4 * r);
    }
    pen.globalAlpha = 1;
    for (const [i, shade] of [[hovered, css("--soft")], [selected, css("--ink")]]) {
      const at = drawn.find(d => d.i === i);
      if (at) { pen.beginPath(); pen.arc(at.x, at.y, at.r + 4, 0, 7); pen.lineWidth = 2; pen.strokeStyle = shade; pen.stroke(); }
    }
    if (mode === "group") number();
    canvas.dataset.drawn = drawn.length;
  };
  // The number of each group stands at its middle: colours alone are not told apart by everybody.
  const number = () => {
    const groups = new Map();
    for (const d of drawn) if (points[d.i].group >= 0 && (!found || found.has(d.i))) {
      if (!groups.has(points[d.i].group)) groups.set(points[d.i].group, []);
      groups.get(points[d.i].group).push(d);
    }
    const median = values => values.sort((a, b) => a - b)[values.length >> 1];
    pen.font = "600 14px system-ui, sans-serif"; pen.textAlign = "center"; pen.textBaseline = "middle"; pen.lineJoin = "round";
    pen.lineWidth = 4; pen.strokeStyle = css("--paper"); pen.fillStyle = css("--ink");
    const taken = [];  // where groups lie behind each other, the largest keeps its number
    for (const [group, members] of [...groups].sort((a, b) => b[1].length - a[1].length)) {
      const [x, y] = [median(members.map(d => d.x)), median(members.map(d => d.y))];
      if (taken.some(at => Math.abs(at.x - x) < 20 && Math.abs(at.y - y) < 15)) continue;
      taken.push({ x, y });
      pen.strokeText(group, x, y); pen.fillText(group, x, y);
    }
  };
  const redraw = () => { if (!waiting) { waiting = true; requestAnimationFrame(draw); } };

  const nearest = (x, y) => {
    let best = -1, least = 16;
    for (const d of drawn) {
      if (found && !found.has(d.i)) continue;
      const distance = Math.hypot(d.x - x, d.y - y) - d.r - d.depth;
      if (distance < least) { least = distance; best = d.i; }
    }
    return best;
  };

  const show = i => {
    selected = i;
    const point = points[i], picture = card.querySelector("img"), list = card.querySelector("dl");
    card.style.setProperty("--color", color(point));
    if (images[i]) picture.src = images[i]; else picture.removeAttribute("src");
    picture.alt = point.name;
    card.querySelector("strong").textContent = short(point); card.querySelector("strong").title = point.name;
    list.replaceChildren(...Object.entries(point).filter(([name]) => name !== "name" && name !== "at").flatMap(([name, value]) => {
      const term = document.createElement("dt"), text = document.createElement("dd");
      term.textContent = name.replace("_", " ");
      text.textContent = name === "group" && value < 0 ? "none (noise)" : Array.isArray(value) ? value.map(v => Math.round(v)).join(", ")
        : value === true ? "yes" : value === false ? "no" : typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : value;
      return [term, text];
    }));
    redraw();
  };
  const step = by => {
    const order = points.map((_, i) => i).filter(i => visible(i) && (!found || found.has(i)));
    if (order.length) show(order[(order.indexOf(selected) + (selected < 0 && by < 0 ? 0 : by) + order.length) % order.length]);
  };

  const legend = () => {
    const counts = new Map();
    points.forEach(p => counts.set(key(p, mode), (counts.get(key(p, mode)) ?? 0) + 1));
    const isNoise = name => hasNoise(mode) && Number(name) < 0;
    const names = [...counts.keys()].sort((a, b) => isNoise(a) - isNoise(b) || counts.get(b) - counts.get(a) || a.localeCompare(b));
    $(".legend").replaceChildren(...names.map(name => {
      const item = document.createElement("li"), label = document.createElement("label"), box = document.createElement("input");
      const dot = document.createElement("i"), text = document.createElement("span"), count = document.createElement("em");
      box.type = "checkbox"; box.checked = !hidden[mode].has(name);
      box.addEventListener("change", () => { hidden[mode][box.checked ? "delete" : "add"](name); redraw(); });
      dot.style.setProperty("--color", isNoise(name) ? "var(--noise)" : tone(colors[mode][name]));
      text.textContent = isNoise(name) ? "no group" : mode === "group" ? `group ${name}` : name;
      count.textContent = counts.get(name).toLocaleString("en");
      label.append(box, dot, text, count); item.append(label);
      return item;
    }));
    card.style.setProperty("--color", selected < 0 ? "var(--line)" : color(points[selected]));
    redraw();
  };
  const toggle = shown => { hidden[mode] = new Set(shown ? [] : points.map(p => key(p, mode))); legend(); };

  const search = () => {
    const words = $("#search").value.trim().toLowerCase();
    found = words ? new Set(points.flatMap((p, i) => short(p).toLowerCase().includes(words) ? [i] : [])) : null;
    const hits = found ? [...found].slice(0, 50) : [];
    $(".hits").replaceChildren(...hits.map(i => {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button"; button.textContent = short(points[i]); button.title = points[i].name;
      button.addEventListener("click", () => show(i)); item.append(button);
      return item;
    }));
    $(".status").textContent = found ? `${found.size.toLocaleString("en")} found${found.size > hits.length ? `, the first ${hits.length} listed` : ""}` : "";
    redraw();
  };

  const zoom = factor => { view.zoom = Math.max(0.3, Math.min(12, view.zoom * factor)); redraw(); };
  const turn = (yaw, pitch) => { view.yaw += yaw; view.pitch = Math.max(-1.55, Math.min(1.55, view.pitch + pitch)); redraw(); };
  const hover = event => {
    const frame = canvas.getBoundingClientRect(), i = nearest(event.clientX - frame.left, event.clientY - frame.top);
    if (i !== hovered) {
      hovered = i; tip.hidden = i < 0; canvas.style.cursor = i < 0 ? "" : "pointer";
      if (i >= 0) {
        const picture = tip.querySelector("img");
        if (images[i]) picture.src = images[i]; else picture.removeAttribute("src");
        tip.querySelector("span").textContent = `${short(points[i])} · ${points[i].group < 0 ? "no group" : "group " + points[i].group} · ${key(points[i], "label")}`;
      }
      redraw();
    }
    const right = event.clientX + 18 + tip.offsetWidth < innerWidth;
    tip.style.left = (right ? event.clientX + 18 : Math.max(4, event.clientX - 18 - tip.offsetWidth)) + "px";
    tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)) + "px";
  };

  // One finger or the mouse turns, two fingers zoom; a press that does not move selects.
  const fingers = new Map(); let moved = 0, spread = 0;
  canvas.addEventListener("pointerdown", e => { canvas.setPointerCapture(e.pointerId); fingers.set(e.pointerId, e); moved = 0; spread = 0; });
  canvas.addEventListener("pointermove", e => {
    const last = fingers.get(e.pointerId);
    if (!last) return hover(e);
    fingers.set(e.pointerId, e);
    if (fingers.size > 1) {
      const [a, b] = [...fingers.values()], now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      if (spread) zoom(now / spread);
      spread = now; moved = 99;
    } else {
      const [dx, dy] = [e.clientX - last.clientX, e.clientY - last.clientY];
      moved += Math.abs(dx) + Math.abs(dy);
      turn(-dx * 0.008, dy * 0.008);
    }
    tip.hidden = true; hovered = -1;
  });
  canvas.addEventListener("pointerup", e => {
    fingers.delete(e.pointerId);
    const frame = canvas.getBoundingClientRect(), i = moved < 5 ? nearest(e.clientX - frame.left, e.clientY - frame.top) : -1;
    if (i >= 0) show(i);
  });
  canvas.addEventListener("pointercancel", e => fingers.delete(e.pointerId));
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; hovered = -1; redraw(); });
  canvas.addEventListener("wheel", e => { e.preventDefault(); zoom(Math.exp(-e.deltaY * 0.0012)); }, { passive: false });
  canvas.addEventListener("keydown", e => {
    const act = {
      ArrowLeft: () => turn(0.12, 0), ArrowRight: () => turn(-0.12, 0), ArrowUp: () => turn(0, -0.12), ArrowDown: () => turn(0, 0.12),
      "+": () => zoom(1.15), "=": () => zoom(1.15), "-": () => zoom(1 / 1.15), "0": () => { Object.assign(view, start); redraw(); },
      n: () => step(1), p: () => step(-1),
    }[e.key.length > 1 ? e.key : e.key.toLowerCase()];
    if (act && !e.ctrlKey && !e.metaKey && !e.altKey) { e.preventDefault(); act(); }
  });
  $("#closer").addEventListener("click", () => zoom(1.3)); $("#farther").addEventListener("click", () => zoom(1 / 1.3));
  $("#reset").addEventListener("click", () => { Object.assign(view, start); redraw(); });
  $("#all").addEventListener("click", () => toggle(true)); $("#none").addEventListener("click", () => toggle(false));
  $("#next").addEventListener("click", () => step(1)); $("#previous").addEventListener("click", () => step(-1));
  $("#search").addEventListener("input", search);
  $("#search").addEventListener("keydown", e => { if (e.key === "Enter" && found && found.size) show([...found][0]); });
  document.querySelectorAll("[name=mode]").forEach(radio => radio.addEventListener("change", () => { mode = radio.value; legend(); }));
  dark.addEventListener("change", () => { sprites = new Map(); legend(); });
  new ResizeObserver(redraw).observe(canvas);
  legend(); draw();
})();
