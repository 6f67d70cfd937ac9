// The curves of the last ten minutes, and what befell the run, marked on them.
import { byId, make, setText } from "./dom.js";

export const MAX_ROWS = 600;
const SVG = "http://www.w3.org/2000/svg";

// number, at_ms, fps, p50_ns, p99_ns, processed, skipped, temperature_c
const perSecond = (row, before) => {
  if (!before || row[1] <= before[1]) return null;
  return Math.max(0, row[6] - before[6]) / ((row[1] - before[1]) / 1000);
};
const CHARTS = [
  { title: "Latency, arrival to label", unit: "ms", digits: 1, series: [
    { name: "p99", color: "amber", value: (row) => row[4] / 1e6 },
    { name: "median", color: "blue", value: (row) => row[3] / 1e6 } ] },
  { title: "Frame rate", unit: "fps", digits: 1, series: [
    { name: "labels", color: "teal", value: (row) => row[2] } ] },
  { title: "Skipped", unit: "frames/s", digits: 1, series: [
    { name: "skipped", color: "rose", value: perSecond } ] },
  { title: "Temperature", unit: "°C", digits: 1, series: [
    { name: "board", color: "amber", value: (row) => row[7] } ] },
];

function nice(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((end) => end >= value * 0.999);
}

// rows: of status.json; marks: what befell the run, in order.
export function charts(rows, marks) {
  const place = byId("charts");
  if (!place.children.length) place.append(...CHARTS.map(newChart));
  CHARTS.forEach((chart, number) => drawChart(chart, place.children[number], rows, marks));
}

function newChart(chart) {
  const figure = make("figure", "card");
  const heading = make("h3", "", chart.title);
  heading.append(make("span"));
  const plot = make("div", "plot");
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 600 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.append(document.createElementNS(SVG, "g"));
  for (const y of [0, 50]) {
    const line = document.createElementNS(SVG, "line");
    for (const [name, value] of [["x1", 0], ["x2", 600], ["y1", y], ["y2", y]]) line.setAttribute(name, value);
    svg.append(line);
  }
  for (const { color } of chart.series) {
    const curve = document.createElementNS(SVG, "polyline");
    curve.setAttribute("class", color);
    svg.append(curve);
  }
  const top = make("span", "end");
  top.style.top = "-.4rem";
  plot.append(svg, top);
  const caption = make("figcaption");
  caption.append(make("span"), make("span", "", "now"));
  figure.append(heading, plot, caption);
  return figure;
}

function band({ mark, from, width }) {
  const box = document.createElementNS(SVG, "rect");
  for (const [name, value] of [["x", Math.min(from, 600 - width)], ["y", 0], ["width", width], ["height", 100]]) box.setAttribute(name, value);
  const title = document.createElementNS(SVG, "title");
  title.textContent = mark.sentences.join("; ");
  box.append(title);
  return box;
}

// Below each band its words, where there is room; of two that would overlap, the later one.
function words(plot, bands) {
  plot.querySelectorAll(".words").forEach((old) => old.remove());
  plot.classList.toggle("marked", bands.length > 0);
  let free = plot.clientWidth;
  for (const { mark, from } of [...bands].reverse()) {
    const [first, ...others] = mark.words;
    const text = make("span", "words", others.length ? `${first} +${others.length}` : first);
    plot.append(text);
    const left = Math.min((from / 600) * plot.clientWidth, plot.clientWidth - text.offsetWidth);
    if (left < 0 || left + text.offsetWidth > free) text.remove();
    else {
      text.style.left = `${left}px`;
      free = left - 6;
    }
  }
}

function drawChart(chart, figure, rows, marks) {
  const values = chart.series.map(({ value }) => rows.map((row, at) => value(row, rows[at - 1])));
  const known = values.flat().filter((value) => value !== null);
  figure.hidden = known.length === 0;
  if (figure.hidden) return;
  const end = nice(Math.max(...known));
  const last = rows[rows.length - 1][1];
  const length = Math.max(60000, last - rows[0][1]);
  const curves = figure.querySelectorAll("polyline");
  const legend = [];
  chart.series.forEach(({ name, color }, number) => {
    const points = [];
    values[number].forEach((value, at) => {
      if (value !== null) {
        const x = 600 - (600 * (last - rows[at][1])) / length;
        points.push(`${x.toFixed(1)},${(100 - (100 * value) / end).toFixed(1)}`);
      }
    });
    curves[number].setAttribute("points", points.join(" "));
    const now = values[number].findLast((value) => value !== null);
    const entry = make("span");
    entry.append(make("b", color, name), ` ${now.toFixed(chart.digits)} ${chart.unit}`);
    legend.push(entry);
  });
  const bands = marks.map((mark) => {
    const at = (ms) => Math.min(600, Math.max(0, 600 - (600 * (last - ms)) / length));
    const from = at(mark.began_ms);
    return { mark, from, width: Math.max(3, at(mark.ended_ms) - from) };
  });
  figure.querySelector("g").replaceChildren(...bands.map(band));
  words(figure.querySelector(".plot"), bands);
  figure.querySelector("h3 > span").replaceChildren(...legend.flatMap((one, at) => (at ? [", ", one] : [one])));
  setText(figure.querySelector(".end"), `${end} ${chart.unit}`);
  const minutes = length / 60000;
  const span = `${minutes < 2 ? Math.round(length / 1000) + " s" : Math.round(minutes) + " min"}`;
  setText(figure.querySelector("figcaption > span"), `${span} ago`);
  const now = legend.map((one) => one.textContent).join(", ");
  const befell = marks.length ? `; marked: ${[...new Set(marks.flatMap((mark) => mark.words))].join(", ")}` : "";
  figure.querySelector("svg").setAttribute("aria-label", `${chart.title} over ${span}: ${now} now, at most ${Math.max(...known).toFixed(chart.digits)}${befell}`);
}
