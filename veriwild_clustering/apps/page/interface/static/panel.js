// The image that was selected: what it looks like, what is known of it, and the images nearest to it.

import { fetchJson, thumbnail } from "./data.js";

const N_NEIGHBORS = 9, N_FACTS = 6;
let latest = 0;

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

const written = value => typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)).toLocaleString("en")
  : typeof value === "boolean" ? (value ? "yes" : "no") : String(value);

const facts = entries => element("dl", {}, ...entries.flatMap(([name, value]) =>
  [element("dt", { textContent: name.replaceAll("_", " ") }), element("dd", { textContent: written(value) })]));

// Shows the image of a row and returns the rows of its neighbours.
export async function showImage(row, { into, color, select }) {
  const turn = ++latest;
  const [image, near] = await Promise.all([
    fetchJson(`images/${row}`),
    fetchJson(`images/${row}/neighbors?n=${N_NEIGHBORS}`).catch(error => ({ items: [], error: error.message })),
  ]).catch(error => [{ error: error.message }]);
  if (turn !== latest) return [];
  if (image.error) {
    into.replaceChildren(element("p", { className: "empty", textContent: image.error }));
    return [];
  }
  const card = element("div", { className: "card" });
  card.style.setProperty("--color", color);
  const known = Object.entries(image.record).filter(([name, value]) => name !== "path" && value !== null && value !== "");
  const clusters = image.clusters.map(({ partition, name }) => [partition, name]);
  const outlier = image.outlier_score === null ? [] : [["outlier score", image.outlier_score], ["why", image.outlier_reason || "nothing conspicuous"]];
  card.append(
    element("img", { src: thumbnail(row, 256), alt: `Row ${row}: ${image.path}` }),
    element("strong", { textContent: image.path }),
    facts([["row", row], ...clusters, ...outlier, ...known.slice(0, N_FACTS)]),
    element("details", {}, element("summary", { textContent: `All ${known.length} columns` }), facts(known)),
    element("h3", { textContent: near.error ?? `Nearest ${near.items.length} images` }),
    element("ul", { className: "neighbors" }, ...near.items.map(item => {
      const button = element("button", { type: "button", title: item.path },
        element("img", { src: thumbnail(item.row, 128), alt: `Row ${item.row}: ${item.path}`, loading: "lazy" }),
        element("span", { textContent: item.score.toFixed(2) }));
      button.addEventListener("click", () => select(item.row));
      return element("li", {}, button);
    })),
  );
  into.replaceChildren(card);
  return near.items.map(item => item.row);
}
