// The page around its frames: the bar of tabs, the address of each, and when which frame is loaded.

const $ = selector => document.querySelector(selector);
const bar = [...document.querySelectorAll("[role=tab]")], panels = [...document.querySelectorAll("[role=tabpanel]")];
const map = $(".map-frame"), rest = $(".tabs-frame"), title = document.title;

let chosen = bar[0];
let inside = null, resting = null;  // Gradio's document once it listens, and the tab that it opened by itself

const load = frame => { if (frame.dataset.src && !frame.src) frame.src = frame.dataset.src; };
const panelOf = tab => panels.find(panel => panel.id === tab.getAttribute("aria-controls"));
const named = () => bar.find(tab => `#${tab.dataset.name}` === location.hash) ?? bar[0];

function choose(tab) {
  chosen = tab;
  for (const one of bar) { one.setAttribute("aria-selected", one === tab); one.tabIndex = one === tab ? 0 : -1; }
  const opened = panelOf(tab);
  for (const panel of panels) panel.hidden = panel !== opened;
  opened.setAttribute("aria-labelledby", tab.id);
  tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  document.title = tab === bar[0] ? title : `${tab.textContent} · ${title}`;
  load(opened.querySelector("iframe"));
  follow();
}

// Gradio's page has a bar of its own, which is hidden here: what is chosen above is clicked there, so that Gradio brings
// that tab up to date. While another panel is open it rests, so that a tab that is opened again is brought up to date too.
function follow() {
  const name = panelOf(chosen).contains(rest) ? `tab-${chosen.dataset.name}-button` : resting;
  inside?.getElementById(name)?.click();
}

function arrived() {
  inside = rest.contentDocument;
  resting = inside.querySelector("[role=tab][aria-selected=true]")?.id;
  $(".status").hidden = true;
  performance.mark("tabs");
  document.body.dataset.ready = "yes";
  follow();
}

rest.addEventListener("load", () => {
  const page = rest.contentDocument;
  if (page?.querySelector("gradio-app")) page.documentElement.classList.add("within");
  else $(".status").hidden = true;  // what is there instead says why
});

// A frame tells when it is settled. The map, painted or unable to, has the machine to itself until then; Gradio loads its
// page anew when its server was away, so it tells more than once.
rest.addEventListener("settled", arrived);
map.addEventListener("settled", () => load(rest));
if (map.contentDocument?.body?.dataset.settled) load(rest);

for (const tab of bar) tab.addEventListener("click", () => {
  if (tab !== named()) history.pushState(null, "", `#${tab.dataset.name}`);
  choose(tab);
});
addEventListener("popstate", () => choose(named()));
$("[role=tablist]").addEventListener("keydown", event => {
  const at = bar.indexOf(event.target), last = bar.length - 1;
  const next = { ArrowLeft: at ? at - 1 : last, ArrowRight: at < last ? at + 1 : 0, Home: 0, End: last }[event.key];
  if (at < 0 || next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  bar[next].tabIndex = 0;
  bar[next].focus();  // Enter and Space open it: some tabs take a while
});
choose(named());
