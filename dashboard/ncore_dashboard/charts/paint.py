"""A chart's next frame on a canvas over its axes, for charts that move: a tenth of the time that Plotly.js takes.

Plotly.js draws axes, legends and colour bars once. From frame to frame only what is between the axes changes, and this
script draws it from the same figure: heatmaps, a contour line, lines, markers and images, as far as the playground's
figures use them. It says no to a figure that has anything else, or whose axes, legend or colour bars differ from those
that are there; Plotly.js draws that one.
"""

from __future__ import annotations

__all__ = ["SCRIPT", "STYLE"]

SCRIPT = """
const ARRAYS = { f8: Float64Array, f4: Float32Array, i4: Int32Array, i2: Int16Array, i1: Int8Array, u1: Uint8Array };
const DASHES = { solid: [], dot: [1, 1], dash: [3, 3] };  // in widths of the line, as in Plotly.js
// Corners of markers of radius 1, as in Plotly.js.
const T = 2 / Math.sqrt(3);
const SYMBOLS = {
  square: [[-1, -1], [1, -1], [1, 1], [-1, 1]],
  diamond: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]],
  "triangle-up": [[-T, 0.5], [T, 0.5], [0, -1]],
  cross: [[1.2, 0.4], [0.4, 0.4], [0.4, 1.2], [-0.4, 1.2], [-0.4, 0.4], [-1.2, 0.4], [-1.2, -0.4], [-0.4, -0.4],
    [-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4]],
};

const numbers = (given) => {
  if (!given?.bdata) return given;
  const text = atob(given.bdata);
  const bytes = new Uint8Array(text.length);
  for (let n = 0; n < bytes.length; n++) bytes[n] = text.charCodeAt(n);
  return new ARRAYS[given.dtype](bytes.buffer);
};
const each = (given, count) => {
  const found = numbers(given);
  return found?.length === undefined || typeof found === "string" ? Array(count).fill(found) : found;
};

// Red, green and blue at a share of a colour scale.
const shade = (scale, share) => {
  const at = Math.min(1, Math.max(0, share || 0));
  const next = Math.max(1, scale.findIndex(([place]) => place >= at));
  const [[low, first], [high, second]] = [scale[next - 1], scale[next]];
  const part = (at - low) / (high - low);
  return [1, 3, 5].map((digit) => {
    const [from, to] = [first, second].map((colour) => parseInt(colour.slice(digit, digit + 2), 16));
    return from + part * (to - from);
  });
};
const kept = new Map();
const shades = (scale) => {
  const key = JSON.stringify(scale);
  const make = () => Array.from({ length: 256 }, (_, n) => shade(scale, n / 255).map(Math.round));
  return kept.get(key) ?? kept.set(key, make()).get(key);
};
const place = (value, low, high) => Math.min(255, Math.max(0, Math.round((255 * (value - low)) / (high - low)) || 0));

const heatmap = (pen, trace, across, up) => {
  const [x, y, z] = [trace.x, trace.y, trace.z].map(numbers);
  const image = new ImageData(x.length, y.length);
  const table = shades(trace.colorscale);
  for (let row = 0, at = 0; row < y.length; row++)
    for (let column = 0; column < x.length; column++) {
      const shown = table[place(z[(y.length - 1 - row) * x.length + column], trace.zmin, trace.zmax)];
      for (const part of shown) image.data[at++] = part;
      image.data[at++] = 255;
    }
  const small = new OffscreenCanvas(x.length, y.length);
  small.getContext("2d").putImageData(image, 0, 0);
  const half = [(x[1] - x[0]) / 2, (y[1] - y[0]) / 2];
  const left = across(x[0] - half[0]);
  const top = up(y.at(-1) + half[1]);
  pen.imageSmoothingEnabled = Boolean(trace.zsmooth);
  pen.drawImage(small, left, top, across(x.at(-1) + half[0]) - left, up(y[0] - half[1]) - top);
};

// The line where a grid of values crosses a level: in each cell, between the sides on which it does.
const contour = (pen, trace, across, up) => {
  const [x, y, z] = [trace.x, trace.y, trace.z].map(numbers);
  const level = trace.contours.start;
  pen.beginPath();
  for (let row = 0; row + 1 < y.length; row++)
    for (let column = 0; column + 1 < x.length; column++) {
      const corners = [[column, row], [column + 1, row], [column + 1, row + 1], [column, row + 1]];
      const over = corners.map(([i, j]) => z[j * x.length + i] - level);
      const crossings = [];
      for (let side = 0; side < 4; side++) {
        const [a, b] = [over[side], over[(side + 1) % 4]];
        if (a > 0 === b > 0) continue;
        const [[i, j], [k, l]] = [corners[side], corners[(side + 1) % 4]];
        const part = a / (a - b);
        crossings.push([across(x[i] + part * (x[k] - x[i])), up(y[j] + part * (y[l] - y[j]))]);
      }
      for (let n = 0; n + 1 < crossings.length; n += 2) {
        pen.moveTo(...crossings[n]);
        pen.lineTo(...crossings[n + 1]);
      }
    }
  Object.assign(pen, { strokeStyle: trace.line.color, lineWidth: trace.line.width });
  pen.stroke();
};

const lines = (pen, trace, x, y) => {
  const { color, width, dash = "solid" } = trace.line;
  pen.beginPath();
  for (let n = 0, down = false; n < x.length; n++) {
    const there = Number.isFinite(x[n]) && Number.isFinite(y[n]);
    if (there) pen[down ? "lineTo" : "moveTo"](x[n], y[n]);
    down = there;
  }
  pen.setLineDash(DASHES[dash].map((part) => part * Math.max(width, 3)));
  Object.assign(pen, { strokeStyle: color, lineWidth: width });
  pen.stroke();
  pen.setLineDash([]);
};

const markers = (pen, trace, x, y) => {
  const { size, symbol = "circle", color, line, colorscale, cmin, cmax, opacity = 1 } = trace.marker;
  if (!opacity) return;
  const [sizes, colours] = [each(size, x.length), each(color, x.length)];
  const table = colorscale && shades(colorscale).map((parts) => `rgb(${parts.join()})`);
  const corners = SYMBOLS[symbol.replace("-open", "")];
  const paths = new Map();  // one for each colour
  for (let n = 0; n < x.length; n++) {
    const radius = sizes[n] / 2;
    if (!radius || !Number.isFinite(x[n]) || !Number.isFinite(y[n])) continue;
    const colour = table ? table[place(colours[n], cmin, cmax)] : colours[n];
    const path = paths.get(colour) ?? paths.set(colour, new Path2D()).get(colour);
    if (corners) {
      corners.forEach(([i, j], m) => path[m ? "lineTo" : "moveTo"](x[n] + radius * i, y[n] + radius * j));
      path.closePath();
    } else {
      path.moveTo(x[n] + radius, y[n]);
      path.arc(x[n], y[n], radius, 0, 2 * Math.PI);
    }
  }
  const open = symbol.endsWith("-open");
  for (const [colour, path] of paths) {
    Object.assign(pen, { fillStyle: colour, strokeStyle: open ? colour : line?.color, lineWidth: line?.width ?? 0 });
    if (!open) pen.fill(path);
    if (line?.width) pen.stroke(path);
  }
};

const images = (pen, layout, across, up, pictures) =>
  (layout.images ?? []).forEach(({ x, y, sizex, sizey }, n) => {
    const [left, top] = [across(x - sizex / 2), up(y + sizey / 2)];
    pen.imageSmoothingEnabled = true;
    pen.drawImage(pictures[n], left, top, across(x + sizex / 2) - left, up(y - sizey / 2) - top);
  });

const knows = ({ type, marker, line }) =>
  ["heatmap", "contour", "scatter"].includes(type) &&
  (!marker?.symbol || marker.symbol.startsWith("circle") || marker.symbol.replace("-open", "") in SYMBOLS) &&
  (line?.dash ?? "solid") in DASHES;

// All that Plotly.js has to draw: what is not between the axes.
const around = ({ data, layout: { images: _, ...layout } }) =>
  JSON.stringify([
    layout,
    data
      .filter((trace) => trace.type !== "contour")
      .map(({ name, showlegend, zmin, zmax, marker }) => [name, showlegend, zmin, zmax, marker?.cmin, marker?.cmax]),
  ]);

const canvasOf = (box) => {
  const found = box.querySelector("canvas.ncore-paint");
  if (found) return found;
  const made = document.createElement("canvas");
  made.className = "ncore-paint";
  box.querySelector(".main-svg").after(made);
  return made;
};

// Draw a figure where Plotly.js has drawn another one; whether it could be done.
const paint = async (box, figure) => {
  if (box.ncoreAround !== around(figure) || !figure.data.every(knows)) return false;
  const pictures = await Promise.all(
    (figure.layout.images ?? []).map(async ({ source }) => {
      const picture = Object.assign(new Image(), { src: source });
      await picture.decode();
      return picture;
    })
  );
  const { _fullLayout: full, _fullData: traces } = box;
  const hidden = new Set(traces.filter(({ visible }) => visible !== true).map(({ name }) => name));
  const canvas = canvasOf(box);
  const [wide, high] = [full.width, full.height].map((length) => Math.round(length * devicePixelRatio));
  if (canvas.width !== wide || canvas.height !== high) {
    Object.assign(canvas, { width: wide, height: high });
    Object.assign(canvas.style, { width: `${full.width}px`, height: `${full.height}px` });
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  pen.clearRect(0, 0, full.width, full.height);
  const between = (names, alpha, work) => {
    const [x, y] = names.map((name) => full[name.replace(/^[xy]/, "$&axis")]);
    pen.save();
    pen.beginPath();
    pen.rect(x._offset, y._offset, x._length, y._length);
    pen.clip();
    pen.globalAlpha = alpha;
    work((value) => x._offset + x.l2p(value), (value) => y._offset + y.l2p(value));
    pen.restore();
  };
  for (const trace of figure.data) {
    if (hidden.has(trace.name)) continue;
    between([trace.xaxis ?? "x", trace.yaxis ?? "y"], trace.opacity ?? 1, (across, up) => {
      if (trace.type === "heatmap") return heatmap(pen, trace, across, up);
      if (trace.type === "contour") return contour(pen, trace, across, up);
      const [x, y] = [Array.from(numbers(trace.x), across), Array.from(numbers(trace.y), up)];
      if (trace.mode.includes("lines")) lines(pen, trace, x, y);
      if (trace.mode.includes("markers")) markers(pen, trace, x, y);
    });
  }
  between(["x", "y"], 1, (across, up) => images(pen, figure.layout, across, up, pictures));
  return true;
};

window.ncorePaint = { around, paint };
"""
STYLE = """
.ncore-paint { position: absolute; left: 0; top: 0; pointer-events: none; }
.ncore-live:not(.ncore-painted) .ncore-paint, .ncore-paint[hidden] { display: none; }
.ncore-painted .mlayer, .ncore-painted .imagelayer { visibility: hidden; }
.ncore-note { font-size: 0.875rem; margin: 0.25rem 0 0; }
.ncore-note:empty { display: none; }
"""
