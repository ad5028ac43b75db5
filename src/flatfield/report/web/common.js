"use strict";

/** An element with properties and children; texts are children too. */
function el(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined) continue;
    if (name === "style") Object.assign(node.style, value);
    else node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** A number of three to five digits, as people write it. */
function numberText(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2);
  if (size >= 1000) return value.toFixed(0);
  return String(Number(value.toPrecision(size >= 100 ? 4 : 3)));
}

function bytesText(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  if (bytes >= 1e12) return (bytes / 1e12).toFixed(2) + " TB";
  if (bytes >= 1e9) return (bytes / 1e9).toFixed(2) + " GB";
  return (bytes / 1e6).toFixed(1) + " MB";
}

function secondsText(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds >= 5400) return (seconds / 3600).toFixed(1) + " h";
  if (seconds >= 90) return (seconds / 60).toFixed(1) + " min";
  return seconds.toFixed(seconds < 10 ? 2 : 1) + " s";
}

/** Micrometers in the unit that suits them. */
function lengthText(micrometers) {
  return micrometers >= 1000 ? numberText(micrometers / 1000) + " mm" : numberText(micrometers) + " µm";
}

const marks = { fail: "✕", warn: "▲", pass: "✓", context: "", "not measured": "", none: "–" };

function verdictNode(verdict) {
  const kind = verdict === "not measured" ? "none" : verdict;
  const text = verdict === "context" ? "–" : `${marks[verdict] || ""} ${verdict}`.trim();
  return el("span", { class: `verdict ${kind}` }, text);
}

const severity = { fail: 3, warn: 2, pass: 1 };

/** The worst verdict of the QC blocks of a tile; null if nothing was judged. */
function worstVerdict(qc) {
  let worst = null;
  for (const block of Object.values(qc || {}))
    if (worst === null || (severity[block.verdict] || 0) > (severity[worst] || 0)) worst = block.verdict;
  return worst;
}

/** How a tile ended, in words: {kind, text, reason}. */
function tileState(record) {
  const worst = worstVerdict(record.qc);
  // A tile that is skipped is what it was when it was corrected.
  const { status, reason } = record.finished_as || record;
  // Of a tile of several time points or channels some may have fallen back.
  const partly = (status === "corrected" || status === "previewed") && Boolean(reason);
  if (status === "failed")
    return { kind: "fail", text: "The tile was not corrected", reason };
  if (worst === "fail")
    return { kind: "fail", text: "Quality fails: do not use this result without looking",
             reason: status === "background_only" ? `Only the background was subtracted. ${reason}`
               : partly ? `Of some volumes only the background was subtracted. ${reason}` : null };
  if (status === "background_only")
    return { kind: "warn", text: "Only the background was subtracted", reason };
  if (partly)
    return { kind: "warn", text: "Of some volumes only the background was subtracted", reason };
  if (status === "interrupted")
    return { kind: "warn", text: "Interrupted: the same command goes on", reason };
  if (status === "skipped") return { kind: "none", text: "Skipped", reason };
  if (worst === "warn") return { kind: "warn", text: "Quality warns: somebody should look", reason: null };
  if (worst === "pass") return { kind: "pass", text: "All quality numbers pass", reason: null };
  return { kind: "none", text: "Nothing was judged: only numbers of illumination corrections have thresholds", reason };
}

function facts(entries) {
  return el("dl", { class: "facts" },
    entries.filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))));
}

/** A list of warnings; `entries` are [kind, text]. */
function warningList(entries) {
  if (entries.length === 0) return el("p", {}, "None.");
  return el("ul", { class: "list" },
    entries.map(([kind, text]) => el("li", {}, el("span", { class: "mark" }, marks[kind]), text)));
}

function table(heads, rows, properties) {
  const cell = (tag, entry) => {
    const { text, kind } = entry !== null && typeof entry === "object" && !(entry instanceof Node) ? entry : { text: entry, kind: null };
    return el(tag, { class: kind }, text === null || text === undefined ? "" : text instanceof Node ? text : String(text));
  };
  return el("div", { class: "scroll" }, el("table", properties || {},
    el("thead", {}, el("tr", {}, heads.map((head) => cell("th", head)))),
    el("tbody", {}, rows.map(({ kind, cells }) => el("tr", { class: kind || null }, cells.map((entry) => cell("td", entry)))))));
}

const number = (text) => ({ text, kind: "number" });

function reportData() {
  return JSON.parse(document.getElementById("report-data").textContent);
}
