// Asks for the newest picture and for what is new in the figures, one request of each at a time: a
// slow line sees fewer pictures, not older ones. Every text is set as text; nothing is HTML.
const byId = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const MAX_ROWS = 600;
const rows = [];
let paused = false;
let pictureUrl = "";
let lastPictureAt = 0;
let lastLabel = null;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function setText(element, text) {
  // What did not change is not announced again.
  if (element.textContent !== text) element.textContent = text;
}

const ms = (ns) => {
  const value = ns / 1e6;
  return value.toFixed(value < 1 ? 2 : value < 100 ? 1 : 0);
};
const percent = (part) => (100 * part).toFixed(part > 0 && part < 0.1 ? 1 : 0);

async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(10000), cache: "no-store" });
  if (answer.status === 401) {
    location.assign("login");
    await sleep(60000);
  }
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

async function watch() {
  let sequence = -1;
  for (;;) {
    if (paused || document.hidden) {
      await sleep(200);
      continue;
    }
    try {
      const answer = await ask(`live.jpg?after=${sequence}`);
      if (answer.status !== 204 && !paused) {
        sequence = Number(answer.headers.get("x-number"));
        await show(await answer.blob());
        seen(JSON.parse(answer.headers.get("x-guesses")), Number(answer.headers.get("x-age-ns")));
      }
    } catch {
      await sleep(1000);
    }
  }
}

async function show(blob) {
  const picture = byId("picture");
  const url = URL.createObjectURL(blob);
  picture.src = url;
  try {
    await picture.decode();
  } finally {
    URL.revokeObjectURL(pictureUrl);
    pictureUrl = url;
  }
  picture.hidden = false;
  byId("no-picture").hidden = true;
  lastPictureAt = performance.now();
}

async function follow() {
  let after = 0;
  for (;;) {
    if (!document.hidden) {
      try {
        const said = await (await ask(`status.json?after=${after}`)).json();
        // A new run, or a new process, counts from the start.
        if (said.last < after) rows.length = 0;
        rows.push(...said.rows);
        rows.splice(0, rows.length - MAX_ROWS);
        after = said.last;
        render(said);
      } catch {
        state("lost", "no connection");
      }
    }
    await sleep(1000);
  }
}

function state(kind, text) {
  byId("state").dataset.state = kind;
  setText(byId("state"), text);
}

function render(said) {
  const { newest, progress, health } = said;
  setText(byId("setting"), [said.facts.card || said.facts.model, said.facts.source].filter(Boolean).join(" · "));
  const late = newest === null || newest.silent_s > 3;
  if (newest === null) state("wait", "waiting for the first frame");
  else state(late ? "late" : "live", late ? `no label for ${newest.silent_s.toFixed(0)} s` : "live");
  const problems = byId("problems");
  problems.hidden = said.problems.length === 0;
  if (problems.dataset.said !== said.problems.join("\n")) {
    problems.dataset.said = said.problems.join("\n");
    problems.replaceChildren(...said.problems.map((problem) => make("li", "", problem)));
  }
  if (newest !== null) {
    const [label] = newest.guesses[0];
    document.title = `${label} · edge-live`;
    // For ears: what has not changed within a second.
    if (label === lastLabel) setText(byId("announced"), label);
    lastLabel = label;
    if (!lastPictureAt) seen(newest.guesses, newest.age_ns);
  }
  const total = progress.processed + progress.skipped;
  tiles([
    ["frame rate", progress.fps.toFixed(1), "fps"],
    ["total, median", ms(progress.p50_ns), "ms"],
    ["total, p99", ms(progress.p99_ns), "ms"],
    ["skipped", total ? percent(progress.skipped / total) : "0", `% of ${total.toLocaleString("en")}`],
    ["temperature", health.temperature_c === null ? "n/a" : health.temperature_c.toFixed(1), health.temperature_c === null ? "" : "°C"],
  ]);
  charts();
  byId("report").hidden = said.no_report !== "";
  byId("no-report").hidden = said.no_report === "";
  setText(byId("no-report"), said.no_report);
}

function seen(guesses, age_ns) {
  const [label, confidence] = guesses[0];
  setText(byId("label"), label);
  setText(byId("confidence"), `${percent(confidence)} % sure, ${ms(age_ns)} ms after it was seen`);
  byId("guesses").replaceChildren(...guesses.map(guess));
}

function guess([label, confidence]) {
  const item = make("li");
  const line = make("div");
  line.append(make("span", "", label), make("span", "", `${percent(confidence)} %`));
  const bar = make("i");
  bar.style.setProperty("--part", `${100 * confidence}%`);
  item.append(line, bar);
  return item;
}

function tiles(shown) {
  const list = byId("tiles");
  if (list.children.length !== shown.length) {
    list.replaceChildren(...shown.map(([name]) => {
      const tile = make("div");
      tile.append(make("dt", "", name), make("dd"));
      return tile;
    }));
  }
  shown.forEach(([, value, unit], place) => {
    const figure = list.children[place].lastElementChild;
    figure.replaceChildren(value, " ", make("small", "", unit));
  });
}

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

function charts() {
  const place = byId("charts");
  if (!place.children.length) place.append(...CHARTS.map(newChart));
  CHARTS.forEach((chart, number) => drawChart(chart, place.children[number]));
}

function newChart(chart) {
  const figure = make("figure", "card");
  const heading = make("h3", "", chart.title);
  heading.append(make("span"));
  const plot = make("div", "plot");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 600 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  for (const y of [0, 50]) {
    const line = document.createElementNS(svg.namespaceURI, "line");
    for (const [name, value] of [["x1", 0], ["x2", 600], ["y1", y], ["y2", y]]) line.setAttribute(name, value);
    svg.append(line);
  }
  for (const { color } of chart.series) {
    const curve = document.createElementNS(svg.namespaceURI, "polyline");
    curve.setAttribute("class", color);
    svg.append(curve);
  }
  const top = make("span");
  top.style.top = "-.4rem";
  plot.append(svg, top);
  const caption = make("figcaption");
  caption.append(make("span"), make("span", "", "now"));
  figure.append(heading, plot, caption);
  return figure;
}

function drawChart(chart, figure) {
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
  figure.querySelector("h3 > span").replaceChildren(...legend.flatMap((one, at) => (at ? [", ", one] : [one])));
  setText(figure.querySelector(".plot > span"), `${end} ${chart.unit}`);
  const minutes = length / 60000;
  const span = `${minutes < 2 ? Math.round(length / 1000) + " s" : Math.round(minutes) + " min"}`;
  setText(figure.querySelector("figcaption > span"), `${span} ago`);
  const words = legend.map((one) => one.textContent).join(", ");
  figure.querySelector("svg").setAttribute("aria-label", `${chart.title} over ${span}: ${words} now, at most ${Math.max(...known).toFixed(chart.digits)}`);
}

byId("pause").addEventListener("click", (event) => {
  paused = !paused;
  event.currentTarget.setAttribute("aria-pressed", String(paused));
  setText(event.currentTarget, paused ? "Go on" : "Pause");
});

setInterval(() => {
  const age = (performance.now() - lastPictureAt) / 1000;
  const text = paused ? "paused" : age > 2 ? `this picture is ${age.toFixed(0)} s old` : "now";
  setText(byId("age"), lastPictureAt ? text : "");
}, 500);

watch();
follow();
