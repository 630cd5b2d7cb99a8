"use strict";
// Attention on the page of a comparison: all heads, one head large, and lines from the token pointed at.

const LEAST_WEIGHT = 0.03;  // below which no line is drawn
const MAP = 640;            // pixels of the large map, before it is scaled into its place

function weightsOf(reading) {
  const attention = reading?.inside?.attention;
  if (!attention) return null;
  if (!attention.unpacked) {
    const binary = atob(attention.weights);
    attention.unpacked = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  }
  const {n, start, unpacked} = attention, model = data.models[reading.model], triangle = (n * (n + 1)) / 2;
  // Row after row of the lower triangle: 0 for a key that the layer's pattern hides, else 1 and 254 parts of the weight's square root.
  const stored = (layer, head, i, j) => unpacked[(layer * model.n_head + head) * triangle + (i * (i + 1)) / 2 + j];
  const weight = (layer, head, i, j) => (Math.max(stored(layer, head, i, j) - 1, 0) / 254) ** 2;
  return {n, start, weight, sees: (layer, head, i, j) => j <= i && stored(layer, head, i, j) > 0};
}

function rgb(variable) {
  const value = getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
  if (!value.startsWith("#")) return value.split(" ").map(Number);
  return [1, 3, 5].map((place) => parseInt(value.slice(place, place + 2), 16));
}

function drawMap(canvas, weights, layer, head, model) {
  const {n, weight, sees} = weights, image = new ImageData(n, n);
  const paper = rgb("--page"), ink = rgb(`--model-${model % 4}`), unseen = rgb("--unseen");
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const seen = sees(layer, head, i, j);
      const depth = seen ? Math.sqrt(weight(layer, head, i, j)) : 0;
      const base = seen ? paper : unseen;
      const place = 4 * (i * n + j);
      for (let c = 0; c < 3; c++) image.data[place + c] = base[c] + (ink[c] - base[c]) * depth;
      image.data[place + 3] = 255;
    }
  }
  canvas.width = canvas.height = n;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function makeAttention(column) {
  const model = data.models[column.column.reader];
  column.maps = [];
  const grid = element("div", {class: "heads", "--columns": model.n_head});
  grid.style.gridTemplateColumns = `max-content repeat(${model.n_head}, minmax(14px, 4.5rem))`;
  for (let layer = 0; layer < model.n_layer; layer++) {
    const band = model.bands[layer];
    grid.append(element("span", {class: "layer"}, `${layer} ${band ? `band ${band}` : model.patterns[layer]}`));
    for (let head = 0; head < model.n_head; head++) {
      const canvas = element("canvas", {"aria-hidden": "true"});
      const button = element("button", {type: "button", tabindex: -1, "aria-label": `layer ${layer}, head ${head}`, "aria-pressed": "false",
        onclick: () => chooseHead(layer, head), onkeydown: (event) => moveByArrow(event, column, layer, head)}, canvas);
      column.maps.push({layer, head, canvas, button});
      grid.append(button);
    }
  }
  const canvas = element("canvas", {role: "img", "aria-label": "attention of one head"});
  const readout = element("p", {class: "quiet"}, "");
  const cell = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientY - box.top, event.clientX - box.left].map((place) => Math.floor((place / box.width) * canvas.width / (column.scale || 1)));
  };
  canvas.addEventListener("mousemove", (event) => { const [i, j] = cell(event); readout.textContent = attentionAt(column, i, j); });
  canvas.addEventListener("mouseleave", () => { readout.textContent = ""; });
  canvas.addEventListener("click", (event) => {
    const weights = weightsOf(pointedReading(column));
    if (!weights) return;
    state.pinned = true;
    point({...state.at, position: Math.min(weights.start + cell(event)[0], weights.start + weights.n - 1)});
  });
  column.headParts = {title: element("h3"), grid, canvas, readout, looks: element("div", {class: "looks"})};
  const {title, looks} = column.headParts;
  column.attention.replaceChildren(title, grid, element("div", {class: "large"}, element("div", {class: "map"}, canvas, readout), looks));
}

function chooseHead(layer, head) {
  [state.layer, state.head] = [layer, head];
  columns.forEach((one) => { drawHead(one); drawLines(one); });
}

// The grid is one stop of the Tab key, and the arrow keys move in it.
function moveByArrow(event, column, layer, head) {
  const steps = {ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0]};
  if (!(event.key in steps)) return;
  event.preventDefault();
  const [rows, places] = steps[event.key];
  const next = column.maps.find((map) => map.layer === layer + rows && map.head === head + places);
  if (!next) return;
  chooseHead(next.layer, next.head);
  next.button.focus();
}

function attentionAt(column, i, j) {
  const reading = pointedReading(column), weights = weightsOf(reading);
  const [layer, head] = headOf(reading);
  if (!weights || i >= weights.n || j >= weights.n || i < 0 || j < 0) return "";
  const from = label(state.at.text, reading, weights.start + i), to = label(state.at.text, reading, weights.start + j);
  if (j > i) return `${from} cannot see ${to}, which comes later`;
  if (!weights.sees(layer, head, i, j)) {
    const {bands, patterns} = data.models[reading.model];
    return `${from} cannot see ${to}: it is outside the ${bands[layer] ? `band of ${bands[layer]}` : `layer's ${patterns[layer]} pattern`}`;
  }
  return `${from} looks at ${to} with ${percent(weights.weight(layer, head, i, j))}`;
}

// The chosen layer and head, or the last ones that this model has.
function headOf(reading) {
  const model = data.models[reading.model];
  return [Math.min(state.layer, model.n_layer - 1), Math.min(state.head, model.n_head - 1)];
}

function drawHead(column) {
  const reading = pointedReading(column), weights = weightsOf(reading);
  column.attention.hidden = !weights;
  if (!weights) return;
  if (column.drawn !== reading) {  // all maps are of the text pointed at
    column.maps.forEach(({layer, head, canvas}) => drawMap(canvas, weights, layer, head, reading.model));
    column.drawn = reading;
  }
  const [layer, head] = headOf(reading), {title, canvas, looks} = column.headParts;
  column.maps.forEach((map) => {
    const isChosen = map.layer === layer && map.head === head;
    map.button.setAttribute("aria-pressed", String(isChosen));
    map.button.tabIndex = isChosen ? 0 : -1;
  });
  title.textContent = `${name(reading.model)}'s attention over ${whoseText()}: layer ${layer}, head ${head}`;
  const small = document.createElement("canvas");
  drawMap(small, weights, layer, head, reading.model);
  const scale = column.scale = Math.max(Math.floor(MAP / weights.n), 1), context = canvas.getContext("2d");
  canvas.width = canvas.height = weights.n * scale;
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  const row = state.at.position - weights.start;
  looks.replaceChildren();
  if (row < 0 || row >= weights.n) { looks.append("The attention of this token is left out of this page."); return; }
  context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--mark");
  context.lineWidth = 2;
  context.strokeRect(0, row * scale, (row + 1) * scale, scale);
  const seen = Array.from({length: row + 1}, (_, j) => [weights.weight(layer, head, row, j), j]).sort((a, b) => b[0] - a[0]);
  const table = element("table", {class: "bars"}, ...seen.slice(0, 6).filter(([weight]) => weight > 0.005).map(([weight, j]) => barRow(
    element("span", {}, element("bdi", {}, label(state.at.text, reading, weights.start + j)), element("span", {class: "quiet"}, ` ${1 + weights.start + j + data.begins_at}`)), weight)));
  looks.append(element("p", {}, element("bdi", {class: "came"}, label(state.at.text, reading, state.at.position)), " looks at"), table);
}

function drawLines(column) {
  column.lines.replaceChildren();
  const at = state.at, reading = readingOf(column.column.text, column.column.reader), weights = weightsOf(reading);
  if (column.column.text !== at.text || pointedReading(column) !== reading || !weights) return;
  const row = at.position - weights.start;
  if (row < 0 || row >= weights.n) return;
  const [layer, head] = headOf(reading), box = column.box.getBoundingClientRect();
  const middle = (position) => {
    const place = column.tokens[position].getClientRects()[0] || column.tokens[position].getBoundingClientRect();
    return [place.left + place.width / 2 - box.left + column.box.scrollLeft, place.top - box.top + column.box.scrollTop + 2];
  };
  const [x, y] = middle(at.position);
  for (let j = 0; j < row; j++) {
    const weight = weights.weight(layer, head, row, j);
    if (weight < LEAST_WEIGHT) continue;
    const [u, v] = middle(weights.start + j), lift = 10 + Math.abs(x - u) / 12;
    column.lines.append(element("svg:path", {d: `M${x} ${y}C${x} ${y - lift} ${u} ${v - lift} ${u} ${v}`, fill: "none",
      stroke: `rgb(${rgb(`--model-${reading.model % 4}`).join(" ")})`, "stroke-width": (1 + 5 * weight).toFixed(2), "stroke-opacity": (0.3 + 0.7 * weight).toFixed(2)}));
  }
}
