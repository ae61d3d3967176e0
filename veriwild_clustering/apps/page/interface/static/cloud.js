// Hundreds of thousands of points by WebGL2: what is drawn, in which order, and which point lies nearest to a place.

const NOWHERE = 65535;  // the coordinate of a row without a place
const SIDE = 256;       // the palette is a square texture: 65,536 codes

const VERTEX = `#version 300 es
uniform mat4 u_view; uniform float u_size; uniform highp sampler2D u_palette;
in vec3 a_place; in uint a_code; out vec4 v_color; out float v_size;
void main() {
  v_color = texelFetch(u_palette, ivec2(int(a_code) % ${SIDE}, int(a_code) / ${SIDE}), 0);
  gl_Position = u_view * vec4(2.0 * a_place - 1.0, 1.0);
  v_size = u_size / gl_Position.w;
  gl_PointSize = v_size;
  if (v_color.a == 0.0 || a_place.x == 1.0) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);  // hidden: outside of what is seen
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 v_color; in float v_size; out vec4 color;
void main() {
  float edge = v_size < 2.5 ? 1.0 : clamp(v_size * (0.5 - length(gl_PointCoord - 0.5)) + 0.5, 0.0, 1.0);
  if (edge == 0.0) discard;
  color = vec4(v_color.rgb, v_color.a * edge);
}`;

export class Cloud {
  constructor(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: true, premultipliedAlpha: false });
    if (!gl) throw new Error("This browser offers no WebGL2, which the map needs. Every other tab works without it. " +
      "In most browsers WebGL2 can be switched on under graphics or hardware acceleration.");
    this.gl = gl;
    this.canvas = canvas;
    this.program = link(gl);
    this.places = gl.createBuffer(); this.codes = gl.createBuffer(); this.order = gl.createBuffer(); this.palette = gl.createTexture();
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.enable(gl.BLEND);
    gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.shown = new Uint8Array(SIDE * SIDE);
    this.n = 0;
  }

  // coordinates: Uint16Array of n x dims steps.
  setPlaces(coordinates, dims) {
    const n = coordinates.length / dims, places = new Uint16Array(4 * n);
    for (let axis = 0; axis < 3; axis++) {
      let low = 65534, high = 0;
      for (let at = axis; axis < dims && at < coordinates.length; at += dims) {
        const step = coordinates[at];
        if (step !== NOWHERE) { low = Math.min(low, step); high = Math.max(high, step); }
      }
      const shift = (65534 - low - high) >> 1;  // to the middle: one scale for all axes leaves the narrow ones at the edge
      for (let i = 0; i < n; i++) {
        const step = axis < dims ? coordinates[dims * i + axis] : 32767;
        places[4 * i + axis] = axis < dims && step !== NOWHERE ? step + shift : step;
      }
    }
    Object.assign(this, { n, dims, steps: places });
    this.#fill(this.places, "a_place", places, (gl, at) => gl.vertexAttribPointer(at, 3, gl.UNSIGNED_SHORT, true, 8, 0));
    this.#sort();
  }

  // codes: Uint16Array of n; 0 is noise or unknown and is drawn below all others.
  setCodes(codes) {
    this.code = codes;
    this.#fill(this.codes, "a_code", codes, (gl, at) => gl.vertexAttribIPointer(at, 1, gl.UNSIGNED_SHORT, 2, 0));
    this.#sort();
  }

  // colors: Uint8Array of 65,536 x 4; those with alpha 0 are hidden.
  setPalette(colors) {
    const { gl } = this;
    for (let code = 0; code < SIDE * SIDE; code++) this.shown[code] = colors[4 * code + 3] ? 1 : 0;
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, SIDE, SIDE, 0, gl.RGBA, gl.UNSIGNED_BYTE, colors);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
  }

  // `detail`: the share of the points that is drawn, fewer while the view moves on a slow machine.
  draw(matrix, size, detail) {
    const { gl, canvas, program } = this;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (!this.n || this.code?.length !== this.n) return;
    gl[this.dims === 3 ? "enable" : "disable"](gl.DEPTH_TEST);
    gl.useProgram(program);
    gl.uniformMatrix4fv(gl.getUniformLocation(program, "u_view"), false, matrix);
    gl.uniform1f(gl.getUniformLocation(program, "u_size"), size);
    const { below, n } = this;
    gl.drawElements(gl.POINTS, Math.ceil(detail * below), gl.UNSIGNED_INT, 0);
    gl.drawElements(gl.POINTS, Math.ceil(detail * (n - below)), gl.UNSIGNED_INT, 4 * below);
  }

  isShown(row) { return this.steps[4 * row] !== NOWHERE && this.shown[this.code[row]] === 1; }

  // Where a row lies in pixels of the page, or null behind the eye.
  project(row, matrix, width, height) {
    const [x, y, z] = [0, 1, 2].map(axis => 2 * this.steps[4 * row + axis] / 65535 - 1), m = matrix;
    const w = m[3] * x + m[7] * y + m[11] * z + m[15];
    if (w <= 0) return null;
    return { x: (1 + (m[0] * x + m[4] * y + m[8] * z + m[12]) / w) * width / 2,
             y: (1 - (m[1] * x + m[5] * y + m[9] * z + m[13]) / w) * height / 2, w };
  }

  // The shown row nearest to a place within `reach` pixels, or -1; in three dimensions the nearer to the eye wins a tie.
  nearest(x, y, matrix, { width, height, reach = 24 }) {
    const { steps, code, shown, n } = this, m = matrix, half = [width / 2, height / 2], unit = 2 / 65535;
    let best = -1, least = reach * reach;
    for (let i = 0, at = 0; i < n; i++, at += 4) {
      if (!shown[code[i]] || steps[at] === NOWHERE) continue;
      const px = steps[at] * unit - 1, py = steps[at + 1] * unit - 1, pz = steps[at + 2] * unit - 1;
      const w = m[3] * px + m[7] * py + m[11] * pz + m[15];
      if (w <= 0) continue;
      const dx = (1 + (m[0] * px + m[4] * py + m[8] * pz + m[12]) / w) * half[0] - x;
      const dy = (1 - (m[1] * px + m[5] * py + m[9] * pz + m[13]) / w) * half[1] - y;
      const distance = dx * dx + dy * dy + (w - 1) * 4;
      if (distance < least) { least = distance; best = i; }
    }
    return best;
  }

  // The middle of each code, as the row that lies there: medians of at most `most` rows per axis.
  middles(most = 120000) {
    const { steps, code, n } = this, rows = new Map(), stride = Math.max(1, Math.floor(n / most));
    for (let i = 0; i < n; i += stride) {
      if (!code[i] || steps[4 * i] === NOWHERE) continue;
      if (!rows.has(code[i])) rows.set(code[i], []);
      rows.get(code[i]).push(i);
    }
    return new Map([...rows].map(([key, members]) => {
      const middle = [0, 1, 2].map(axis => members.map(i => steps[4 * i + axis]).sort((a, b) => a - b)[members.length >> 1]);
      const far = i => Math.hypot(...middle.map((value, axis) => steps[4 * i + axis] - value));
      return [key, members.reduce((best, i) => far(i) < far(best) ? i : best)];
    }));
  }

  // Whichever of places and codes comes second decides the order of drawing.
  #sort() {
    const { gl, n, code: codes } = this;
    if (!codes || codes.length !== n) return;
    const order = new Uint32Array(n), stride = coprime(n);
    // A fixed shuffle: in the order of rows, what comes last would cover all else.
    let below = 0;
    for (const isBelow of [true, false]) {
      for (let step = 0, i = 0; step < n; step++, i = (i + stride) % n) if (!codes[i] === isBelow) order[below++] = i;
      if (isBelow) this.below = below;
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.order);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, order, gl.STATIC_DRAW);
  }

  #fill(buffer, name, values, describe) {
    const { gl, program } = this, at = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(at);
    describe(gl, at);
  }
}

function link(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source); gl.compileShader(shader); gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error("The graphics driver refused the map's program.");
  return program;
}

// A step that visits all of n rows once, spread evenly.
function coprime(n) {
  const divisor = (a, b) => b ? divisor(b, a % b) : a;
  let stride = Math.max(1, Math.floor(0.618 * n));
  while (divisor(stride, n) > 1) stride++;
  return stride;
}
