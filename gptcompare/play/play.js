"use strict";
// The controls of the page to play in: what is asked for, and both columns as they are written. What has been written is
// then shown by `show`, of page.js.

const settings = JSON.parse(document.getElementById("settings").textContent);
const pageId = Array.from(crypto.getRandomValues(new Uint32Array(2)), (part) => part.toString(36)).join("");
const form = document.getElementById("play"), status_ = document.getElementById("status");

const promptBox = element("textarea", {id: "prompt", rows: 2, spellcheck: "false"}, settings.prompt);
const chosen = [0, 1].map((place) => element("select", {id: `model-${place}`},
  ...settings.models.map((model, n) => element("option", {value: model, selected: n === Math.min(place, settings.models.length - 1)}, model))));
const options = Object.fromEntries(settings.controls.map(({name: option, help, min, max, step, required}) =>
  [option, element("input", {type: "number", id: option, title: help, min, max, step, required, value: settings.options[option]})]));
const write = element("button", {type: "submit", id: "write"}, "Write");
const stop = element("button", {type: "button", id: "stop", disabled: true, onclick: () => post("stop", {})}, "Stop");

const labelled = (words, control) => element("div", {}, element("label", {class: "over", for: control.id}, words), control);
form.append(
  element("label", {class: "over quiet", for: "prompt"}, "Prompt"), promptBox,
  element("div", {class: "controls"}, labelled("left", chosen[0]), labelled("right", chosen[1]),
    ...Object.entries(options).map(([option, control]) => labelled(option.replaceAll("_", "-"), control)), write, stop));

form.addEventListener("submit", (event) => { event.preventDefault(); if (!write.disabled) begin(); });
promptBox.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
});

function post(path, what) {
  return fetch(path, {method: "POST", headers: {"Content-Type": "application/json", "X-Page": pageId}, body: JSON.stringify(what)});
}

// An empty control is an option that is not given.
function given() {
  const filled = Object.entries(options).filter(([, control]) => control.value !== "");
  return {prompt: promptBox.value, models: chosen.map((select) => select.value),
    options: Object.fromEntries(filled.map(([option, control]) => [option, Number(control.value)]))};
}

async function begin() {
  const focused = document.activeElement === write;
  write.disabled = true;
  stop.disabled = false;
  if (focused) stop.focus();  // and not the beginning of the page
  status_.textContent = "Writing …";
  try {
    const request = given(), live = liveColumns(request), answer = await post("write", request);
    if (!answer.ok) throw new Error((await answer.json()).error);
    let whole = false;
    for await (const line of linesOf(answer)) {
      if (line.error) throw new Error(line.error);
      if (line.waiting) status_.textContent = "Waiting for the text of another page …";
      if ("side" in line) live[line.side].append(line.text);
      if (line.comparison) show(line.comparison);
      whole ||= Boolean(line.comparison || line.stopped);
    }
    if (!whole) throw new Error("the server has stopped in the middle of its answer");
    status_.textContent = "";
  } catch (error) {
    status_.textContent = error instanceof TypeError ? "There is no answer: does `gptcompare play` still run?" : error.message;
  } finally {
    const stopFocused = document.activeElement === stop;
    write.disabled = false;
    if (stopFocused) write.focus();
    stop.disabled = true;
  }
}

// Two columns that grow; the page of the comparison takes their place when the texts are whole.
function liveColumns(request) {
  const texts = request.models.map(() => element("div", {class: "text"}, element("span", {class: "quiet"}, request.prompt)));
  document.querySelector("main").replaceChildren(element("div", {class: "columns", "--columns": texts.length},
    ...texts.map((text, n) => element("section", {class: "writer", "--model": modelColour(n)}, element("h2", {}, element("bdi", {}, request.models[n])), text))));
  return texts;
}

async function* linesOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
  }
}

begin();
