// Asks for the newest picture and for what is new in the figures, one request of each at a time: a
// slow line sees fewer pictures, not older ones.
import { charts, MAX_ROWS } from "./charts.js";
import { byId, make, setText } from "./dom.js";

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const rows = [];
// What befell the run, by when it began: one that goes on comes again, longer.
const marks = new Map();
// Of the marks, the last so many are told in words.
const MAX_TOLD = 8;
let paused = false;
let pictureUrl = "";
let lastPictureAt = 0;
let lastLabel = null;

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
        if (said.last < after) {
          rows.length = 0;
          marks.clear();
        }
        rows.push(...said.rows);
        rows.splice(0, rows.length - MAX_ROWS);
        after = said.last;
        for (const mark of said.marks) marks.set(mark.began_ms, mark);
        for (const [began, mark] of marks) if (mark.ended_ms < rows[0][1]) marks.delete(began);
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
  notice(said.problems);
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
  const told = [...marks.values()];
  charts(rows, told);
  befell(told, said);
  byId("report").hidden = said.no_report !== "";
  byId("no-report").hidden = said.no_report === "";
  setText(byId("no-report"), said.no_report);
}

function notice(problems) {
  byId("problems").hidden = problems.length === 0;
  const shown = byId("problems").children;
  if (shown.length !== problems.length) byId("problems").replaceChildren(...problems.map(() => make("li")));
  problems.forEach((problem, place) => setText(shown[place], problem));
  // For ears: once, and not again each second with another number.
  setText(byId("alarm"), problems.join("; ").replace(/ for [\d.]+ s/g, ""));
}

function befell(told, said) {
  const { from_ms, sentences, longest_gap_ns } = said.since_start;
  byId("befell").hidden = from_ms === null;
  if (from_ms === null) return;
  // The page's own clock: that of a board may be wrong, and may be set.
  const time = (at) => new Date(Date.now() - (said.now_ms - at)).toLocaleTimeString([], { timeStyle: "medium" });
  const last = told.slice(-MAX_TOLD).reverse();
  byId("marks").replaceChildren(...last.map((mark) => {
    const item = make("li");
    const heading = make("div");
    heading.append(make("b", "", mark.words.join(", ")), make("time", "", `${time(mark.began_ms)} to ${time(mark.ended_ms)}`));
    item.append(heading, ...mark.sentences.map((sentence) => make("p", "", sentence)));
    return item;
  }));
  const more = told.length - last.length;
  setText(byId("more"), more ? `and ${more} earlier` : told.length ? "" : "Nothing in the last ten minutes.");
  const days = (said.now_ms - from_ms) / 86400000;
  const since = days < 0.9 ? time(from_ms) : `${days.toFixed(1)} days ago`;
  byId("in-all").replaceChildren(...sentences.map((sentence) => make("li", "", sentence)));
  const gap = longest_gap_ns ? `, longest time without a frame ${(longest_gap_ns / 1e9).toFixed(2)} s` : "";
  setText(byId("since"), `In all, since ${since}: ${sentences.length ? "" : "nothing"}${gap}`.replace(": ,", ":"));
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
