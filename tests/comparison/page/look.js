// What the tests ask the page of a comparison.
window.look = {
  column: (number) => document.querySelectorAll(".column")[number],
  tokens: (number) => [...document.querySelectorAll("#columns .text")[number].querySelectorAll(".token")],
  text: (number) => look.tokens(number).map((token) => token.textContent).join("").replaceAll("◦", ""),
  ids: (selector) => [...document.querySelectorAll(selector)].map((one) => one.id),

  // The label, the width in percent, and what is written, of each bar of a column; of what one head looks at.
  bars: (number) => [...look.column(number).querySelector(".bars").rows].map(look.bar),
  looksAt: (number) => [...look.column(number).querySelectorAll(".looks tr")].map((row) =>
    [Number(row.querySelector(".quiet").innerText), parseFloat(row.querySelector(".bar").style.width)]),
  bar: (row) => [row.cells[0].innerText, parseFloat(row.querySelector(".bar").style.width), row.cells[2].innerText],

  // The rank's class of each token; the colour and the depth of each token that shows a difference.
  ranks: (number) => look.tokens(number).map((token) => [...token.classList].find((name) => name.startsWith("rank-"))),
  differences: (number) => look.tokens(number).filter((token) => token.classList.contains("difference")).map((token) =>
    [token.style.getPropertyValue("--likelier"), Number(token.style.getPropertyValue("--depth"))]),

  slide: (place) => {
    const slider = document.getElementById("temperature");
    slider.value = place;
    slider.dispatchEvent(new Event("input"));
  },
  heads: () => [...document.querySelectorAll(".heads [aria-pressed=true]")].map((one) => one.ariaLabel),
  headTitles: () => [...document.querySelectorAll(".heads")].map((one) => one.previousSibling.innerText),
  hasBars: (number) => look.column(number).querySelector(".bars tr") !== null,
  hasAttention: (number) => !look.column(number).querySelector(".heads").closest("section").hidden,

  // The colour of a cell of the map with this number.
  cell: (map, row, column) => {
    const copy = document.createElement("canvas").getContext("2d");
    copy.drawImage(document.querySelectorAll(".heads canvas")[map], 0, 0);
    return copy.getImageData(column, row, 1, 1).data.join();
  },

  // The least contrast of a text with what is behind it (Web Content Accessibility Guidelines 2.2, 1.4.3).
  contrast: () => {
    const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
    const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const behind = (node) => {
      if (!node) return [255, 255, 255];
      const [r, g, b, opacity = 1] = channels(getComputedStyle(node).backgroundColor);
      if (opacity === 1) return [r, g, b];
      const below = behind(node.parentElement);
      return [r, g, b].map((value, n) => value * opacity + below[n] * (1 - opacity));
    };
    const isSeen = (node) => node.tagName !== "text" && node.getClientRects().length
      && [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
    const ratios = [...document.querySelectorAll("main *")].filter(isSeen).map((node) => {
      const pair = [luminance(channels(getComputedStyle(node).color)), luminance(behind(node))];
      return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    });
    return Math.min(...ratios);
  },
};
