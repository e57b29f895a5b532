"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const sprites = [...document.querySelectorAll("img.sprite")];
const get = (id) => document.getElementById(id);
const drawn = get("drawn"), place = get("place");
const MOST_CHECKED = 9;  // rows that are shown at first
let order = [], at = 0;

function option(select, text, value) {
  const made = document.createElement("option");
  made.textContent = text;
  made.value = value;
  select.append(made);
}

function addRow(row, number) {
  const label = document.createElement("label"), box = document.createElement("input");
  box.type = "checkbox";
  box.value = number;
  box.checked = number < MOST_CHECKED || row.baseline;
  box.addEventListener("change", show);
  label.append(box, row.label);
  get("rows").append(label);
}

function picture(number, image, words, caption) {
  const figure = document.createElement("figure"), canvas = document.createElement("canvas");
  const text = document.createElement("figcaption");
  canvas.width = data.width;
  canvas.height = data.height;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", words);
  const left = (image % data.columns) * data.width, top = Math.floor(image / data.columns) * data.height;
  canvas.getContext("2d").drawImage(
    sprites[number], left, top, data.width, data.height, 0, 0, data.width, data.height);
  text.textContent = caption;
  figure.append(canvas, text);
  return figure;
}

function scores(row, image) {
  const chosen = get("metric").value;
  const known = data.metrics.filter((metric) => metric.name in row.scores);
  known.sort((first, second) => (second.name === chosen) - (first.name === chosen));
  return known.slice(0, 4).map((metric) => {
    const value = row.scores[metric.name][image];
    return metric.label + " " + (value === null ? "none" : value.toFixed(metric.digits));
  }).join(", ");
}

function show() {
  if (!order.length) return;
  const image = order[at], of = data.classes.length ? ", class " + data.classes[image] : "";
  get("status").textContent = "Image " + (at + 1) + " of " + order.length + of + " (number " + data.numbers[image] + ")";
  place.max = order.length;
  place.value = at + 1;
  place.setAttribute("aria-valuetext", get("status").textContent);
  const figures = [picture(0, image, "true image", "true image")];
  for (const box of document.querySelectorAll("#rows input")) {
    if (!box.checked) continue;
    const row = data.rows[box.value], numbers = scores(row, image);
    figures.push(picture(Number(box.value) + 1, image, row.label + ": " + numbers, row.label + "\n" + numbers));
  }
  drawn.replaceChildren(...figures);
}

function sort() {
  const kept = order[at], wanted = get("class").value, how = get("order").value;
  order = [...Array(data.count).keys()].filter((image) => !wanted || data.classes[image] === wanted);
  const metric = data.metrics.find((each) => each.name === get("metric").value);
  const values = metric && data.rows[get("row").value].scores[metric.name];
  if (how !== "stored" && values) {
    const sign = (how === "best") === (metric.higher !== false) ? -1 : 1;
    const key = (image) => (values[image] === null ? Infinity : sign * values[image]);  // no score: last
    order.sort((first, second) => key(first) - key(second) || first - second);
  }
  at = how === "stored" ? Math.max(0, order.indexOf(kept)) : 0;
  show();
}

function go(to) {
  at = Math.min(Math.max(to, 0), order.length - 1);
  show();
}

data.rows.forEach((row, number) => { addRow(row, number); option(get("row"), row.label, number); });
data.metrics.forEach((metric) => option(get("metric"), metric.label, metric.name));
[...new Set(data.classes)].forEach((name) => option(get("class"), name, name));
drawn.classList.toggle("small", data.width < 96);
get("first").addEventListener("click", () => go(0));
get("previous").addEventListener("click", () => go(at - 1));
get("next").addEventListener("click", () => go(at + 1));
get("last").addEventListener("click", () => go(order.length - 1));
place.addEventListener("input", () => go(place.value - 1));
["order", "metric", "row", "class"].forEach((id) => get(id).addEventListener("change", sort));
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input[type=range], select")) return;
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: order.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  go(to);
});
window.addEventListener("load", sort);  // every picture is there then
