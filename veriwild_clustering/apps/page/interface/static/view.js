// Where one looks from: moving and zooming a map, turning and zooming a cloud, by pointer, wheel and keys.

const FAR = 4;  // the eye's distance from the middle of a cloud whose half side is 1
const START = { x: 0, y: 0, zoom: 1, yaw: 0.7, pitch: 0.35 };

export class View {
  constructor(canvas, { changed, clicked }) {
    Object.assign(this, { canvas, changed, clicked, dims: 2 }, START);
    canvas.addEventListener("pointerdown", event => this.#drag(event));
    canvas.addEventListener("wheel", event => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 400), this.#at(event));
    }, { passive: false });
    canvas.addEventListener("keydown", event => this.#key(event));
  }

  reset() { Object.assign(this, START); this.changed(); }

  // Column-major matrix from the cube [-1, 1]^3 to the clip space of a canvas of `width` x `height`.
  matrix(width, height) {
    const side = Math.min(width, height), across = side / width, up = side / height;
    if (this.dims === 2) {
      const s = 0.94 * this.zoom;
      return columns([s * across, 0, 0, -s * across * this.x], [0, s * up, 0, -s * up * this.y], [0, 0, 0, 0], [0, 0, 0, 1]);
    }
    const [cy, sy, cp, sp] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    const s = 0.85 * this.zoom, near = 0.3, far = 2 * FAR, depth = [-cp * sy, sp, cp * cy];  // towards the eye
    const a = (far + near) / (far - near), b = 2 * far * near / (far - near);
    return columns(
      [s * across * cy, 0, s * across * sy, 0],
      [s * up * sp * sy, s * up * cp, -s * up * sp * cy, 0],
      [...depth.map(value => -a * value / FAR), (a * FAR - b) / FAR],
      [...depth.map(value => -value / FAR), 1],
    );
  }

  zoomBy(factor, at = null) {
    const before = this.zoom;
    this.zoom = Math.max(0.4, Math.min(this.dims === 2 ? 400 : 12, this.zoom * factor));
    if (at && this.dims === 2) {  // what lies under the pointer stays there
      const { x, y } = this.#plane(at), share = 1 / before - 1 / this.zoom;
      this.x += x * share; this.y += y * share;
    }
    this.changed();
  }

  // Right and down in shares of what is seen.
  move(right, down) {
    if (this.dims === 2) {
      this.x += right / this.zoom; this.y -= down / this.zoom;
    } else {
      this.yaw += right; this.pitch = Math.max(-1.55, Math.min(1.55, this.pitch + down));
    }
    this.changed();
  }

  #at(event) {
    const frame = this.canvas.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  }

  #plane({ x, y }) {
    const { clientWidth: width, clientHeight: height } = this.canvas, side = 0.94 * Math.min(width, height);
    return { x: (2 * x - width) / side, y: (height - 2 * y) / side };
  }

  #drag(down) {
    const from = this.#at(down), others = this.fingers ??= new Map();
    others.set(down.pointerId, from);
    let last = from, travelled = 0;
    this.canvas.setPointerCapture(down.pointerId);
    const moved = event => {
      if (event.pointerId !== down.pointerId) return;
      const now = this.#at(event), side = Math.min(this.canvas.clientWidth, this.canvas.clientHeight);
      travelled += Math.hypot(now.x - last.x, now.y - last.y);
      if (others.size === 2) {  // two fingers: the distance between them is the zoom
        const other = [...others].find(([id]) => id !== down.pointerId)[1];
        this.zoomBy(Math.hypot(now.x - other.x, now.y - other.y) / (Math.hypot(last.x - other.x, last.y - other.y) || 1), other);
      } else {
        const scale = this.dims === 2 ? -2 / (0.94 * side) : 2.4 / side;
        this.move(scale * (now.x - last.x), (this.dims === 2 ? scale : 2.4 / side) * (now.y - last.y));
      }
      last = now;
      others.set(down.pointerId, now);
    };
    const ended = event => {
      if (event.pointerId !== down.pointerId) return;
      others.delete(down.pointerId);
      this.canvas.removeEventListener("pointermove", moved);
      for (const name of ["pointerup", "pointercancel"]) this.canvas.removeEventListener(name, ended);
      if (event.type === "pointerup" && travelled < 5) this.clicked(from);
    };
    this.canvas.addEventListener("pointermove", moved);
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, ended);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const actions = {
      ArrowLeft: () => this.move(-0.12, 0), ArrowRight: () => this.move(0.12, 0),
      ArrowUp: () => this.move(0, -0.12), ArrowDown: () => this.move(0, 0.12),
      "+": () => this.zoomBy(1.25), "=": () => this.zoomBy(1.25), "-": () => this.zoomBy(0.8), "−": () => this.zoomBy(0.8),
      0: () => this.reset(), Enter: () => this.clicked({ x: width / 2, y: height / 2, reach: Infinity }),
    };
    if (actions[event.key]) { event.preventDefault(); actions[event.key](); }
  }
}

const columns = (...rows) => Float32Array.from({ length: 16 }, (_, i) => rows[i % 4][i >> 2]);
