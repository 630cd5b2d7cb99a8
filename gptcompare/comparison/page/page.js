"use strict";
// The page of a comparison: `show(data)` draws it, and everything else answers to a pointer, a key or a slider.
//
// `data` is what `data.py` beside this file describes: models; texts, each read by several models; and columns, which say
// whose reading of which text stands where. All that a model wrote reaches the page as text nodes, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const NATS = Math.log(2);             // nats in a bit
const MOST_SURPRISE = 12, MOST_DIFFERENCE = 6;  // bits, beyond which a colour gets no deeper
const ON_SCREEN = 5;                  // bars, before "more" is chosen
const BAR = 7, CHART_HEIGHT = 64;     // pixels
const RANKS = [[10, "rank-10"], [100, "rank-100"], [1000, "rank-1000"], [Infinity, "rank-more"]];

let data = null;      // what is shown
let state = null;     // what has been chosen
let columns = [];     // for each column, its elements

// --- Small helpers

function element(tag, attributes = {}, ...children) {
  const made = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.setAttribute("class", value);
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) made.style.setProperty(name, value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const bits = (nats) => -nats / NATS;
const number = (value, digits = 2) => value.toFixed(digits).replace("-", "−");
const percent = (p) => (p >= 0.0995 ? `${(100 * p).toFixed(1)} %` : `${(100 * p).toPrecision(2)} %`);
const name = (model) => data.models[model].name;
const modelColour = (model) => `var(--model-${model % 4})`;

function readingOf(text, model) {
  return data.texts[text].readings.find((reading) => reading.model === model);
}

// The readings of a text that have the same tokens as another reading of it.
function sameTokens(text, reading) {
  return data.texts[text].readings.filter((other) => other.cut === reading.cut);
}

const pieces = (text, reading) => data.texts[text].cuts[reading.cut].pieces;
const label = (text, reading, position) => data.labels[data.texts[text].cuts[reading.cut].labels[position]];

// --- The whole page

function show(given) {
  data = given;
  const begun = data.columns.findIndex((column) => pieces(column.text, readingOf(column.text, column.reader)).length);
  const start = Math.max(begun, 0), first = data.columns[start];  // the first text that is long enough for the page's beginning
  const banded = data.models.flatMap((model) => model.bands.findIndex((band) => band > 0)).filter((layer) => layer >= 0);
  state = {
    colouring: "surprise", pair: data.models.length > 1 ? [0, 1] : null, temperature: data.temperatures.indexOf(1), more: false,
    at: {text: first.text, column: start, position: startOf(first)}, pinned: false, pressed: null,
    layer: banded.length ? Math.min(...banded) : 0, head: 0,  // where dense and banded are seen to differ
  };
  const main = document.querySelector("main");
  const heading = document.getElementById("play") ? [] : [element("h1", {}, element("bdi", {}, data.title))];  // or its form says it
  main.replaceChildren(...heading, ...data.left_out.map((what) => element("p", {class: "note"}, what)), controls(),
    element("div", {class: "legend", id: "legend"}), element("div", {class: "columns", id: "columns", "--columns": data.columns.length}),
    element("p", {class: "unseen", id: "told", "aria-live": "polite"}), ...numbers());
  columns = data.columns.map(makeColumn);
  document.getElementById("columns").replaceChildren(...columns.map((column) => column.root));
  colour();
  point(state.at);
}

function startOf(column) {
  const reading = readingOf(column.text, column.reader);
  return Math.max(Math.min(data.starts_at ?? reading.first, pieces(column.text, reading).length - 1), 0);
}

function numbers() {
  const made = element("dl", {});
  for (const [what, how] of Object.entries(data.made)) made.append(element("dt", {}, what), element("dd", {}, how));
  return [
    element("details", {open: true}, element("summary", {}, "In numbers"), element("pre", {}, data.summary)),
    element("details", {open: true}, element("summary", {}, "How this was made"), made),
  ];
}

// --- Controls

function controls() {
  const colourings = {surprise: "surprise", rank: "rank", difference: "difference of the models"};
  const canDiffer = data.texts.some((text) => text.readings.some((one) => one !== text.readings[0] && one.cut === text.readings[0].cut));
  if (!canDiffer) delete colourings.difference;
  const choices = Object.entries(colourings).map(([value, words]) => element("label", {},
    element("input", {type: "radio", name: "colouring", value, checked: value === state.colouring,
      onchange: () => { state.colouring = value; colour(); }}), ` ${words}`));
  const box = element("div", {class: "controls", role: "group", "aria-label": "View"},
    element("fieldset", {}, element("legend", {}, "Colour of the tokens"), ...choices));
  if (canDiffer && data.models.length > 2) box.append(pairOfModels());
  const output = element("output", {id: "temperature-value"}, number(data.temperatures[state.temperature], 1));
  const slider = element("input", {type: "range", id: "temperature", min: 0, max: data.temperatures.length - 1, step: 1,
    value: state.temperature, oninput: () => {
      state.temperature = Number(slider.value);
      output.textContent = number(data.temperatures[state.temperature], 1);
      slider.setAttribute("aria-valuetext", output.textContent);
      drawBars();
    }});
  slider.setAttribute("aria-valuetext", output.textContent);
  const more = element("input", {type: "checkbox", onchange: () => { state.more = more.checked; drawBars(); }});
  box.append(element("div", {}, element("label", {class: "over", for: "temperature"}, "Temperature of the bars"), slider, " ", output),
    element("label", {}, more, " more bars"));
  return box;
}

function pairOfModels() {
  const choose = (place) => element("select", {"aria-label": place ? "and" : "difference between", onchange: (event) => {
    state.pair[place] = Number(event.target.value); colour();
  }}, ...data.models.map((model, n) => element("option", {value: n, selected: n === state.pair[place]}, model.name)));
  return element("div", {}, element("span", {class: "over quiet"}, "difference between "), choose(0), " and ", choose(1));
}

// --- The columns: a model, the text it wrote or read, and what it expected

function makeColumn(column, number_) {
  const reading = readingOf(column.text, column.reader);
  const text = pieces(column.text, reading);
  const tokens = text.map((piece, position) => element("span", {
    class: position < reading.first ? "token given" : "token", role: "option", id: `token-${number_}-${position}`,
    "aria-selected": "false", "data-position": position,
  }, piece === "" ? "◦" : piece.replaceAll("\n", "⏎\n")));  // ◦: a part of a character that ends later
  const lines = element("svg:svg", {"aria-hidden": "true"});
  const whose = data.columns.length > 1 && data.texts.length === 1 ? `the text, read by ${name(column.reader)}` : `${name(column.reader)}'s text`;
  const box = element("div", {
    class: "text", role: "listbox", tabindex: 0, "aria-orientation": "horizontal", "aria-label": `${whose}, ${tokens.length} tokens; arrow keys move`,
    onkeydown: (event) => moveByKey(event, number_), onmouseover: (event) => pointAtElement(event, number_, false),
    onclick: (event) => pointAtElement(event, number_, true), onmousedown: () => { state.pressed = state.at; },  // which comes before the focus
    onfocus: () => { if (state.at.column !== number_) point({text: column.text, column: number_, position: Math.min(state.at.position, tokens.length - 1)}); },
  }, ...tokens, element("span", {class: "quiet"}, data.texts[column.text].cuts[reading.cut].tail), lines);
  const model = data.models[column.reader];
  const parts = {chart: element("figure"), expected: element("section"), lens: element("section"), attention: element("section")};
  const writer = element("div", {class: "writer"}, element("h2", {}, element("bdi", {}, model.name)), element("p", {class: "what"}, model.what), box);
  const root = element("section", {class: "column", "--model": modelColour(column.reader), "aria-label": name(column.reader)}, writer, ...Object.values(parts));
  [...root.children].forEach((part, row) => part.style.setProperty("--order", row));
  const made = {column, number: number_, root, box, tokens, lines, ...parts};
  new ResizeObserver(() => drawLines(made)).observe(box);
  drawChart(made);
  makeAttention(made);
  return made;
}

function pointAtElement(event, column, pin) {
  const token = event.target.closest(".token");
  if (!token) return;
  const before = state.pressed ?? state.at;
  if (pin) {
    state.pinned = !(state.pinned && before.column === column && before.position === Number(token.dataset.position));
    state.pressed = null;
  } else if (state.pinned) return;
  point({text: data.columns[column].text, column, position: Number(token.dataset.position)});
}

function moveByKey(event, column) {
  const last = columns[column].tokens.length - 1;
  const here = state.at.column === column ? state.at.position : -1;
  const targets = {ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, Home: 0, End: last};
  if (!(event.key in targets)) return;
  event.preventDefault();
  state.pinned = true;
  point({text: data.columns[column].text, column, position: Math.max(0, Math.min(last, targets[event.key]))});
}

// --- Pointing at a token

function point(at) {
  state.at = at;
  const own = readingOf(at.text, data.columns[at.column].reader);
  for (const column of columns) {
    const reading = readingOf(column.column.text, column.column.reader);
    const linked = data.share_vocabulary || column.number === at.column;
    column.tokens.forEach((token, position) => {
      const here = linked && position === at.position;
      token.classList.toggle("pointed", here && column.number === at.column);
      token.classList.toggle("marked", here && column.number !== at.column);
      if (column.number === at.column) token.setAttribute("aria-selected", String(here));
    });
    if (column.number === at.column && reading) column.box.setAttribute("aria-activedescendant", `token-${column.number}-${at.position}`);
    column.marker?.setAttribute("x", (linked ? at.position : -99) * BAR);
    drawLens(column);
    drawHead(column);
    drawLines(column);
  }
  drawBars();
  document.getElementById("told").textContent = tell(at, own);
}

function tell(at, own) {
  if (!pieces(at.text, own).length) return "";
  const all = sameTokens(at.text, own).map((reading) => {
    const logprob = reading.logprobs[at.position];
    return logprob === null || logprob === undefined ? `${name(reading.model)}: given` :
      `${name(reading.model)}: ${number(bits(logprob), 1)} bits${reading.ranks[at.position] ? `, rank ${reading.ranks[at.position]}` : ""}`;
  });
  return `${place(own, at.position)}, ${label(at.text, own, at.position)}; ${all.join("; ")}`;
}

// The reading of the text pointed at by the model of a column, if it has the same tokens.
function pointedReading(column) {
  const own = readingOf(state.at.text, data.columns[state.at.column].reader);
  const reading = own && readingOf(state.at.text, column.column.reader);
  return reading && reading.cut === own.cut && pieces(state.at.text, reading).length ? reading : null;
}

// The number of a token, from 1, in the text that was written or read, or in what stands before it.
function place(reading, position) {
  const number_ = position + data.begins_at - reading.n_given;
  return number_ >= 0 ? `token ${number_ + 1} of ${whoseText()}` : `token ${position + data.begins_at + 1} of what was given`;
}

const whoseText = () => data.texts[state.at.text].writer === null ? "the text" : `${name(data.texts[state.at.text].writer)}'s text`;

// --- Bars: what could have come at this place

function drawBars() {
  columns.forEach((column) => column.expected.replaceChildren(...expected(column)));
}

function expected(column) {
  const reading = pointedReading(column), {text, position} = state.at;
  if (!reading) return [];
  const came = label(text, reading, position);
  const logprob = reading.logprobs[position], rank = reading.ranks[position];
  const title = element("h3", {}, element("bdi", {}, name(reading.model)), ", before ", element("bdi", {class: "came"}, came), ` (${place(reading, position)})`);
  const facts = [];
  if (logprob !== null) facts.push(`it came as a surprise of ${number(bits(logprob))} bits`);
  if (rank) facts.push(`rank ${rank}`);
  if (reading.entropies[position] !== null) facts.push(`entropy ${number(reading.entropies[position])} bits`);
  const choice = data.labels[reading.choices[position]];
  if (choice !== undefined && choice !== came) facts.push(`its own choice was ${choice}`);
  const saying = element("p", {class: "quiet"}, facts.join(", ") || "The text begins here: nothing was expected.");
  const inside = reading.inside, n = inside ? position - inside.start : -1;
  if (!inside?.alternatives[n]) {
    return logprob === null ? [title, saying] : [title, saying, element("p", {class: "quiet"}, "What could have come here is left out of this page.")];
  }
  const temperature = data.temperatures[state.temperature], logZ = inside.log_z[n][state.temperature];
  const tokens = inside.alternatives[n].map(([token, nats]) => [data.labels[token], nats]).slice(0, state.more ? undefined : ON_SCREEN);
  if (!tokens.some(([token]) => token === came)) tokens.push([came, inside.came[n]]);
  const rows = tokens.map(([token, nats]) => barRow(element("bdi", {class: token === came ? "came" : ""}, token), Math.exp(nats / temperature - logZ)));
  const words = `what ${name(reading.model)} held likeliest, at temperature ${number(temperature, 1)}`;
  const table = element("table", {class: "bars", "aria-label": words}, ...rows);
  return [title, saying, table];
}

function barRow(what, part) {
  const bar = element("span", {class: "bar"});
  bar.style.width = `${100 * Math.min(part, 1)}%`;
  return element("tr", {}, element("th", {scope: "row"}, what), element("td", {}, bar), element("td", {class: "number"}, percent(part)));
}

// --- Colours of the tokens

function colour() {
  for (const column of columns) {
    const reading = readingOf(column.column.text, column.column.reader);
    column.tokens.forEach((token, position) => {
      token.classList.remove("surprise", "difference", "rank-10", "rank-100", "rank-1000", "rank-more");
      const logprob = reading.logprobs[position];
      if (position < reading.first || logprob === null || logprob === undefined) return;
      if (state.colouring === "surprise") {
        token.classList.add("surprise");
        token.style.setProperty("--depth", Math.min(bits(logprob) / MOST_SURPRISE, 1).toFixed(3));
      } else if (state.colouring === "rank") {
        const rank = reading.ranks[position];
        if (rank) token.classList.add(RANKS.find(([most]) => rank <= most)[1]);
      } else {
        const difference = signedDifference(column.column.text, reading, position);
        if (difference === null) return;
        token.classList.add("difference");
        token.style.setProperty("--likelier", modelColour(state.pair[difference > 0 ? 0 : 1]));
        token.style.setProperty("--depth", Math.min(Math.abs(difference) / MOST_DIFFERENCE, 1).toFixed(3));
      }
    });
  }
  drawLegend();
}

// How much likelier, in bits, the first of the two chosen models finds a token than the second.
function signedDifference(text, reading, position) {
  const [a, b] = state.pair.map((model) => readingOf(text, model));
  if (!a || !b || a.cut !== reading.cut || b.cut !== reading.cut) return null;
  return (a.logprobs[position] - b.logprobs[position]) / NATS;
}

function drawLegend() {
  const swatch = (kind, words, styles = {}) => element("span", {}, element("span", {class: `swatch ${kind}`, ...styles}), words);
  const legends = {
    surprise: () => [0, 3, 6, 9, 12].map((amount) =>
      swatch("token surprise", `${amount}${amount === MOST_SURPRISE ? " or more" : ""} bits`, {"--depth": amount / MOST_SURPRISE})),
    rank: () => [swatch("rank-10", "rank 1 to 10"), swatch("rank-100", "to 100"), swatch("rank-1000", "to 1,000"), swatch("rank-more", "beyond")],
    difference: () => [[0, 6], [0, 3], [0, 0], [1, 3], [1, 6]].map(([side, amount]) => swatch("token difference",
      amount ? `${amount}${amount === MOST_DIFFERENCE ? " or more" : ""} bits likelier to ${name(state.pair[side])}` : "0",
      {"--likelier": modelColour(state.pair[side]), "--depth": amount / MOST_DIFFERENCE})),
  };
  document.getElementById("legend").replaceChildren(...legends[state.colouring]());
}

// --- Divergence along the text

function drawChart(column) {
  const text = data.texts[column.column.text], divergence = text.divergence;
  const isFirst = data.columns.findIndex((one) => one.text === column.column.text) === column.number;
  if (!divergence || !isFirst) return;
  const most = data.most_divergence, n = divergence.length, width = n * BAR, high = CHART_HEIGHT;
  const path = (wanted) => divergence.map((value, position) => value !== null && text.same_top[position] === wanted ?
    `M${position * BAR + 0.5} ${high}v${number(-Math.max((value / most) * high, 0.6), 2).replace("−", "-")}h${BAR - 1.5}V${high}z` : "").join("");
  column.marker = element("svg:rect", {class: "here", x: -99, y: 0.5, width: BAR - 0.5, height: high});
  const bars = element("svg:svg", {width, height: high + 4, viewBox: `0 0 ${width} ${high + 4}`, role: "img",
    "aria-label": "Jensen-Shannon divergence of the models' predictions, a bar a token"},
    ...[0, 0.5, 1].map((part) => element("svg:line", {class: "grid", x1: 0, x2: width, y1: high * (1 - part) + 0.5, y2: high * (1 - part) + 0.5})),
    element("svg:path", {class: "same", d: path(true)}), element("svg:path", {class: "other", d: path(false)}), column.marker);
  const at = (event, pin) => {
    if (state.pinned && !pin) return;
    const position = Math.floor((event.clientX - bars.getBoundingClientRect().left) / BAR);
    if (position < 0 || position >= n) return;
    state.pinned = pin;
    point({text: column.column.text, column: column.number, position});
  };
  bars.addEventListener("mousemove", (event) => at(event, false));
  bars.addEventListener("click", (event) => at(event, true));
  const axis = element("svg:svg", {width: 34, height: high + 4, "aria-hidden": "true"}, ...[0, 0.5, 1].map((part) => element("svg:text",
    {x: 30, y: Math.min(Math.max(high * (1 - part) + 4, 9), high + 3), "text-anchor": "end"}, number(most * part, 2))));
  column.chart.replaceChildren(element("div", {class: "chart"}, axis, element("div", {class: "scroll"}, bars)), element("figcaption", {},
    "Jensen-Shannon divergence in bits, a bar a token, one scale for all texts; ", element("span", {class: "other"}, "orange"), " where the likeliest tokens differ."));
}

// --- The logit lens

function drawLens(column) {
  const reading = pointedReading(column), inside = reading?.inside;
  const n = inside ? state.at.position - inside.start : -1, layers = inside?.lens[n];
  if (!layers) { column.lens.replaceChildren(); return; }
  const came = label(state.at.text, reading, state.at.position);
  const rows = layers.map((tokens, height) => element("tr", {}, element("th", {scope: "row"}, height === 0 ? "embedding" : `after block ${inside.lens_blocks[height]}`),
    ...tokens.map(([token, p]) => element("td", {}, element("bdi", {class: data.labels[token] === came ? "came" : ""}, data.labels[token]),
      element("span", {class: "quiet"}, ` ${(100 * p).toFixed(0)} %`)))));
  column.lens.replaceChildren(element("h3", {}, element("bdi", {}, name(reading.model)), " after each block (logit lens)"), element("table", {class: "lens"}, ...rows));
}

// --- The page begins with the comparison that is in it

const stored = document.getElementById("comparison");
if (stored) show(JSON.parse(stored.textContent));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  columns.forEach((column) => { column.drawn = null; drawHead(column); drawLines(column); });
});
