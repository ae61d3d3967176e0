// Mouse, pen and fingers: one of them draws, two fingers move and zoom, double clicks are told from two clicks.

const DOUBLE = 350, NEAR = 6;  // milliseconds and pixels between the clicks of a double click
const BUTTONS = ["main", "middle", "second"];

export class Pointing {
  #fingers = new Map();
  #drawing = null;  // the pointer that draws
  #clicked = { time: 0 };

  // `to` has begin(place, button), extend(place), end(), cancel(), hover(place), double(button), move(right, down), zoom(factor, place).
  constructor(canvas, to) {
    Object.assign(this, { canvas, to });
    canvas.addEventListener("pointerdown", event => this.#down(event));
    canvas.addEventListener("pointermove", event => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, event => this.#up(event));
    canvas.addEventListener("contextmenu", event => event.preventDefault());
    canvas.addEventListener("auxclick", event => event.preventDefault());
    canvas.addEventListener("wheel", event => {
      event.preventDefault();
      to.zoom(Math.exp(-event.deltaY / 400), this.#at(event));
    }, { passive: false });
  }

  #at(event) {
    const frame = this.canvas.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  }

  #down(event) {
    if (event.button > 2) return;
    if (event.button === 1) event.preventDefault();  // no scrolling by the middle button
    const place = this.#at(event);
    this.#fingers.set(event.pointerId, place);
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
    if (this.#fingers.size > 1) {  // a second finger: nothing was meant to be drawn
      if (this.#drawing !== null) this.to.cancel();
      this.#drawing = null;
      return;
    }
    this.#drawing = event.pointerId;
    this.to.begin(place, event.shiftKey ? "move" : BUTTONS[event.button]);
    if (event.pointerType === "mouse" && event.button !== 1 && !event.shiftKey) this.#count(event, place);
  }

  #count(event, place) {
    const { time, x, y, button } = this.#clicked;
    const again = button === event.button && event.timeStamp - time < DOUBLE && Math.hypot(place.x - x, place.y - y) < NEAR;
    this.#clicked = again ? { time: 0 } : { time: event.timeStamp, button: event.button, ...place };
    if (!again) return;
    this.#drawing = null;  // the second click is no stroke of its own
    this.to.cancel();
    this.to.double(BUTTONS[event.button]);
  }

  #move(event) {
    const place = this.#at(event), before = this.#fingers.get(event.pointerId);
    if (!before) { this.to.hover(place); return; }
    this.#fingers.set(event.pointerId, place);
    if (this.#drawing === event.pointerId) {
      for (const one of event.getCoalescedEvents?.() ?? []) this.to.extend(this.#at(one));
      this.to.extend(place);
    } else if (this.#fingers.size === 2) {
      const other = [...this.#fingers].find(([id]) => id !== event.pointerId)[1];
      this.to.zoom(Math.hypot(place.x - other.x, place.y - other.y) / (Math.hypot(before.x - other.x, before.y - other.y) || 1), other);
      this.to.move((place.x - before.x) / 2, (place.y - before.y) / 2);
    }
  }

  #up(event) {
    this.#fingers.delete(event.pointerId);
    if (this.#drawing !== event.pointerId) return;
    this.#drawing = null;
    this.to[event.type === "pointerup" ? "end" : "cancel"]();
  }
}
