// The keyboard: commands anywhere, arrows and Enter on the image.

export class Keys {
  // `commands` by key, `on` with step(right, down) and enter() for the image.
  constructor(canvas, commands, on) {
    Object.assign(this, { canvas, commands, on });
    document.addEventListener("keydown", event => this.#pressed(event));
  }

  #pressed(event) {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (target.closest("input:not([type=checkbox],[type=radio],[type=range]), select, textarea")) return;
    if (key === " " && target.closest("button, a, input, summary")) return;  // which it presses
    const action = target === this.canvas ? this.#onImage(event) : null;
    const command = action ?? (target.type === "range" && key.startsWith("Arrow") ? null : this.commands[key]);
    if (!command) return;
    event.preventDefault();
    command();
  }

  #onImage({ key, shiftKey }) {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (by) return () => this.on.step(...by, shiftKey);
    return key === "Enter" ? () => this.on.enter() : null;
  }
}
