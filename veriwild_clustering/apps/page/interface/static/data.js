// What the pages in frames ask of the server: JSON, and coordinates and codes as 16-bit steps.

const API = new URL("../api/", import.meta.url);

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(new URL(path, API), options);
  } catch {
    throw new Error("The server does not answer. Is it still running? Reload the page once it is.");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  const message = told?.error?.message ?? `The server answered ${answer.status} ${answer.statusText}.`;
  throw Object.assign(new Error(message), { code: told?.error?.code });
}

export const address = path => new URL(path, API).href;
export const thumbnail = (row, size) => address(`images/${row}/thumbnail?size=${size}`);
export const fetchJson = async path => (await ask(path)).json();
export const fetchBlob = async path => (await ask(path)).blob();

export async function sendJson(path, body) {
  return (await ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json();
}

export async function fetchSteps(path) {
  const answer = await ask(path), dims = Number((answer.headers.get("X-Shape") ?? "").split(/[,x ]+/)[1] || 1);
  const bytes = await answer.arrayBuffer();
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] === 1) return { values: new Uint16Array(bytes), dims };
  const view = new DataView(bytes);  // the bytes are little-endian, this machine is not
  return { values: Uint16Array.from({ length: bytes.byteLength / 2 }, (_, i) => view.getUint16(2 * i, true)), dims };
}
